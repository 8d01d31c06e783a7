// Zip archives: stored entries, as torch.save writes them, and deflated ones, as other programs
// leave them. Internal to data/weights.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace reprise::data {

bool is_zip(std::span<const std::byte> bytes);

// Reads only the central directory: sizes in local headers may be zero. Checks that every entry
// lies inside the file and overlaps no other, and that names are unique; throws Error otherwise.
// `bytes` must outlive the archive.
class ZipReader {
 public:
  explicit ZipReader(std::span<const std::byte> bytes);

  std::vector<std::string> names() const;
  bool contains(const std::string& name) const { return entries_.contains(name); }
  // Returns the entry's bytes, inflated where they are deflated, with their CRC-32 checked. They
  // live as long as the archive. Throws Error where there is no such entry, it is damaged or
  // compressed in another way, or the inflated entries together go beyond limits::inflated_bytes.
  std::span<const std::byte> read(const std::string& name);
  // Returns what all deflated entries would take together, at most what may be inflated.
  std::uint64_t inflated_bytes() const;

 private:
  struct Entry {
    std::span<const std::byte> bytes;
    std::uint32_t crc;
    std::uint16_t method;
    std::uint64_t size;  // inflated
  };
  std::span<const std::byte> inflate(const std::string& name, const Entry& entry);

  std::map<std::string, Entry> entries_;
  std::map<std::string, std::vector<std::byte>> inflated_;
  std::uint64_t inflated_left_;
};

// Builds an archive whose bytes depend only on the entries. Each entry's data is aligned to 64
// bytes.
class ZipWriter {
 public:
  void add(const std::string& name, std::span<const std::byte> bytes);
  void add(const std::string& name, std::string_view text);
  std::vector<std::byte> finish();

 private:
  std::vector<std::byte> bytes_, directory_;
  std::uint16_t count_ = 0;
};

}  // namespace reprise::data
