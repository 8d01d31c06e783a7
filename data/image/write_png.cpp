#include "data/image/write_png.h"

#include <algorithm>

#include "data/image/checksums.h"
#include "data/io/file.h"
#include "engine/base/check.h"

namespace reprise::data {
namespace {

constexpr std::size_t max_stored_block = 65535;

template <class Out>
void append(Out& out, std::uint32_t v) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<std::byte>(v >> shift & 0xFF));
}

void append_chunk(std::vector<std::byte>& out, std::string_view type, std::span<const std::byte> data) {
  append(out, static_cast<std::uint32_t>(data.size()));
  const std::size_t start = out.size();
  for (const char c : type) out.push_back(static_cast<std::byte>(c));
  out.insert(out.end(), data.begin(), data.end());
  append(out, crc32(std::span(out).subspan(start)));
}

// A zlib stream of stored blocks.
std::vector<std::byte> store(const std::vector<std::uint8_t>& raw) {
  std::vector<std::byte> out{std::byte{0x78}, std::byte{0x01}};
  for (std::size_t start = 0; start < raw.size(); start += max_stored_block) {
    const std::size_t n = std::min(max_stored_block, raw.size() - start);
    const bool last = start + n == raw.size();
    for (const std::size_t v : {std::size_t{last}, n & 0xFF, n >> 8, ~n & 0xFF, ~n >> 8 & 0xFF})
      out.push_back(static_cast<std::byte>(v));
    const auto part = std::as_bytes(std::span(raw).subspan(start, n));
    out.insert(out.end(), part.begin(), part.end());
  }
  append(out, adler32(raw));
  return out;
}

}  // namespace

std::vector<std::byte> encode_png(const Image& image) {
  REPRISE_CHECK(image.width >= 1 && image.height >= 1, "write PNG: the image is empty");
  const std::size_t row = std::size_t{3} * image.width;
  REPRISE_INVARIANT(image.rgb.size() == row * image.height, "{} values for {} x {} pixels", image.rgb.size(),
                    image.width, image.height);
  std::vector<std::uint8_t> raw;
  raw.reserve((row + 1) * image.height);
  for (std::size_t start = 0; start < image.rgb.size(); start += row) {
    raw.push_back(0);  // no filter
    raw.insert(raw.end(), image.rgb.begin() + static_cast<std::ptrdiff_t>(start),
               image.rgb.begin() + static_cast<std::ptrdiff_t>(start + row));
  }
  std::vector<std::byte> header;
  append(header, static_cast<std::uint32_t>(image.width));
  append(header, static_cast<std::uint32_t>(image.height));
  for (const unsigned v : {8U, 2U, 0U, 0U, 0U}) header.push_back(static_cast<std::byte>(v));
  std::vector<std::byte> out;
  for (const unsigned v : {0x89U, 0x50U, 0x4EU, 0x47U, 0x0DU, 0x0AU, 0x1AU, 0x0AU})
    out.push_back(static_cast<std::byte>(v));
  append_chunk(out, "IHDR", header);
  append_chunk(out, "IDAT", store(raw));
  append_chunk(out, "IEND", {});
  return out;
}

void write_png(const std::string& path, const Image& image) {
  write_file_atomically(path, encode_png(image));
}

}  // namespace reprise::data
