// Rows of decoded bytes of one size, in memory or in a cache file that is mapped read-only. Private to
// data/loader.
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
inline constexpr Digest no_digest{};  // of a row whose image could not be decoded

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

// Fills rows [begin, end) and their digests; gives no_digest to what cannot be decoded.
using FillRows = std::function<void(std::int64_t begin, std::int64_t end, std::byte* rows, Digest* digests)>;

// In memory, if all such rows of this process stay within `limit` bytes; null otherwise. `fill` is called
// once for all rows.
std::shared_ptr<PixelRows> rows_in_memory(std::int64_t count, std::size_t row_bytes, std::int64_t limit,
                                          const FillRows& fill);

// Writes the file in parts: rows, their digests, a footer with `key` and a digest of it all. It appears under
// its name when it is complete. Error names the file where the disk is full or the folder cannot be written.
void write_rows(const std::string& path, const Digest& key, std::int64_t count, std::size_t row_bytes,
                const FillRows& fill);

// Null where there is no such file. A file of another key or shape, cut short or damaged is warned about, and
// null.
std::shared_ptr<PixelRows> open_rows(const std::string& path, const Digest& key, std::int64_t count,
                                     std::size_t row_bytes);

}  // namespace reprise::data
