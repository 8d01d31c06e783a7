// Stored (not compressed) zip archives, as torch.save writes them. Internal to data/weights.
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

// Reads the central directory alone: sizes in local headers may be zero. Every entry lies inside the
// file and overlaps no other, and names are unique. Compressed entries are listed and not read. Throws Error
// otherwise. `bytes` must outlive the archive.
class ZipReader {
 public:
  explicit ZipReader(std::span<const std::byte> bytes);

  std::vector<std::string> names() const;
  bool contains(const std::string& name) const { return entries_.contains(name); }
  // The entry's bytes, with their CRC-32 checked. Throws Error where there is no such entry or it is
  // compressed.
  std::span<const std::byte> read(const std::string& name) const;

 private:
  struct Entry {
    std::span<const std::byte> bytes;
    std::uint32_t crc;
    std::uint16_t method;
  };
  std::map<std::string, Entry> entries_;
};

// Builds an archive whose bytes depend on the entries alone; each entry's data is aligned to 64 bytes.
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
