// Whole files in, whole files out: a file is either there complete or not there at all.
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

// The file's bytes. Throws Error, with the path, where it does not exist, is a directory, may not be read,
// or is larger than max_bytes.
REPRISE_API std::vector<std::byte> read_file(const std::string& path,
                                             std::uint64_t max_bytes = limits::file_bytes);

// What a folder holds, in no order, without "." and "..". Throws Error where it cannot be listed.
REPRISE_API std::vector<std::string> names_in(const std::string& folder);

// Writes under a temporary name in the same folder, syncs, renames, syncs the folder. On any failure the
// temporary is removed, what stood at `path` is untouched, and Error says what the system said.
REPRISE_API void write_file_atomically(const std::string& path, std::span<const std::byte> bytes);
REPRISE_API void write_file_atomically(const std::string& path, std::string_view text);

// Removes the temporaries in a folder whose processes were killed while they wrote. Never those that are
// being written: they are locked.
REPRISE_API void remove_abandoned_files(const std::string& folder);

// The same in pieces: nothing appears at `path` before commit(), and nothing is left without it.
class REPRISE_API AtomicFile {
 public:
  explicit AtomicFile(std::string path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text.data(), text.size()))); }
  void commit();

 private:
  [[noreturn]] void fail(std::string_view doing);

  std::string path_, temporary_;
  int descriptor_ = -1;
};

}  // namespace reprise::data
