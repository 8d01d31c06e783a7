// Reads and writes whole files. What is written appears complete or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/limits.h"
#include "engine/base/export.h"

namespace reprise::data {

// Reads a file. Throws Error, with the path, where the file does not exist, is a folder, may not be
// read, or is larger than max_bytes.
REPRISE_API std::vector<std::byte> read_file(const std::string& path,
                                             std::uint64_t max_bytes = limits::file_bytes);

// Lists a folder's names in no order, without "." and "..". Throws Error where it cannot be listed.
REPRISE_API std::vector<std::string> names_in(const std::string& folder);

// Writes a temporary file in the same folder, syncs it, renames it to `path` and syncs the folder.
// Where any of these fails, removes the temporary file, leaves the file at `path` as it was, and
// throws Error with the system's reason.
REPRISE_API void write_file_atomically(const std::string& path, std::span<const std::byte> bytes);
REPRISE_API void write_file_atomically(const std::string& path, std::string_view text);

// Returns this machine's name, with '_' for '/'. Temporary files carry it, and the process's id.
REPRISE_API std::string host_name();

// Removes the temporary files of this machine's processes that no longer run, and those that nobody
// has written to for 24 hours. Needs no locks.
REPRISE_API void remove_abandoned_files(const std::string& folder);

// A file that is written in parts. Nothing appears at `path` before commit(), and without it
// nothing is left.
class REPRISE_API AtomicFile {
 public:
  explicit AtomicFile(std::string path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text.data(), text.size()))); }
  // Without `replace`, returns false and changes nothing where a file is at the path. The file
  // system decides (link(2)); of several at once on one without links, the last remains.
  bool commit(bool replace = true);

 private:
  [[noreturn]] void fail(std::string_view doing);

  std::string path_, temporary_;
  int descriptor_ = -1;
};

}  // namespace reprise::data
