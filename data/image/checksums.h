// The two checksums of a PNG file: CRC-32 over a chunk, Adler-32 over what its zlib stream holds.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace reprise::data {

namespace detail {
// crc_tables[k][b] is the remainder of byte b followed by k zero bytes. With eight such tables
// eight bytes are taken at once ("slicing by 8", Kounavis and Berry, 2005).
constexpr std::array<std::array<std::uint32_t, 256>, 8> make_crc_tables() {
  std::array<std::array<std::uint32_t, 256>, 8> tables{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t c = i;
    for (int bit = 0; bit < 8; ++bit) c = (c & 1U) != 0 ? 0xEDB88320U ^ (c >> 1) : c >> 1;
    tables[0][i] = c;
  }
  for (std::size_t k = 1; k < 8; ++k)
    for (std::size_t i = 0; i < 256; ++i)
      tables[k][i] = tables[0][tables[k - 1][i] & 0xFFU] ^ (tables[k - 1][i] >> 8);
  return tables;
}
inline constexpr std::array<std::array<std::uint32_t, 256>, 8> crc_tables = make_crc_tables();
}  // namespace detail

// Returns the CRC-32 of the bytes, as PNG and zip have it.
inline std::uint32_t crc32(std::span<const std::byte> bytes) {
  std::uint32_t c = 0xFFFFFFFFU;
  std::size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    std::uint32_t next = 0;
    for (std::size_t k = 0; k < 8; ++k) {
      const std::uint32_t of_crc = k < 4 ? c >> (8 * k) : 0;
      next ^= detail::crc_tables[7 - k][(of_crc ^ std::to_integer<std::uint32_t>(bytes[i + k])) & 0xFFU];
    }
    c = next;
  }
  for (; i < bytes.size(); ++i)
    c = detail::crc_tables[0][(c ^ std::to_integer<std::uint32_t>(bytes[i])) & 0xFFU] ^ (c >> 8);
  return ~c;
}

// Returns the Adler-32 of the bytes, as zlib has it.
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
