// The two checksums of a PNG file: CRC-32 of its chunks, Adler-32 of its zlib stream.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace reprise::data {

namespace detail {
constexpr std::array<std::uint32_t, 256> make_crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t c = i;
    for (int bit = 0; bit < 8; ++bit) c = (c & 1U) != 0 ? 0xEDB88320U ^ (c >> 1) : c >> 1;
    table[i] = c;
  }
  return table;
}
inline constexpr std::array<std::uint32_t, 256> crc_table = make_crc_table();
}  // namespace detail

inline std::uint32_t crc32(std::span<const std::byte> bytes) {
  std::uint32_t c = 0xFFFFFFFFU;
  for (const std::byte b : bytes)
    c = detail::crc_table[(c ^ std::to_integer<std::uint32_t>(b)) & 0xFFU] ^ (c >> 8);
  return ~c;
}

inline std::uint32_t adler32(std::span<const std::uint8_t> bytes) {
  constexpr std::size_t block = 5552;  // the most sums that fit 32 bits before a reduction
  std::uint32_t a = 1, b = 0;
  for (std::size_t start = 0; start < bytes.size(); start += block) {
    for (const std::uint8_t v : bytes.subspan(start, std::min(block, bytes.size() - start))) b += a += v;
    a %= 65521;
    b %= 65521;
  }
  return b << 16 | a;
}

}  // namespace reprise::data
