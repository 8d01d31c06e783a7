// Rows of decoded bytes, all of one size, in memory or in a cache file that is mapped read-only.
// Private to data/loader.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace reprise::data {

using Digest = std::array<std::uint8_t, 32>;
inline constexpr Digest no_digest{};  // the digest of a row whose image could not be decoded

Digest digest_of(std::span<const std::byte> bytes);

class PixelRows {
 public:
  virtual ~PixelRows() = default;
  std::int64_t count() const { return static_cast<std::int64_t>(digests_.size()); }
  std::span<const std::byte> row(std::int64_t i) const {
    return {rows_ + static_cast<std::size_t>(i) * row_bytes_, row_bytes_};
  }
  const Digest& digest(std::int64_t i) const { return digests_[static_cast<std::size_t>(i)]; }

 protected:
  const std::byte* rows_ = nullptr;
  std::size_t row_bytes_ = 0;
  std::vector<Digest> digests_;
};

// Fills rows [begin, end) and their digests. A row that cannot be decoded gets no_digest.
using FillRows = std::function<void(std::int64_t begin, std::int64_t end, std::byte* rows, Digest* digests)>;

// Fills rows in memory, with one call of `fill`. Returns null where all such rows of this process
// together would take more than `limit` bytes.
std::shared_ptr<PixelRows> rows_in_memory(std::int64_t count, std::size_t row_bytes, std::int64_t limit,
                                          const FillRows& fill);

// Writes a cache file in parts: rows, their digests, and a footer with `key` and a digest of the
// whole. The file appears under its name when it is complete. Throws Error, with the name, where
// the disk is full or the folder cannot be written.
void write_rows(const std::string& path, const Digest& key, std::int64_t count, std::size_t row_bytes,
                const FillRows& fill);

// Maps a cache file. Returns null where there is none, and also, with a warning, where it has
// another key or shape, is cut short or is damaged.
std::shared_ptr<PixelRows> open_rows(const std::string& path, const Digest& key, std::int64_t count,
                                     std::size_t row_bytes);

}  // namespace reprise::data
