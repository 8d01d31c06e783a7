// Helpers of the image tests:
// reading files, the folder of small images, SHA-1 (as in Pillow's expected values).
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "data/image/image.h"
#include "engine/base/error.h"

namespace reprise::data::testing {

inline const std::string golden = REPRISE_SOURCE_DIR "/tests/golden/images/";
inline const std::string odd = REPRISE_SOURCE_DIR "/../shared/real/odd/";

inline std::vector<std::byte> read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

inline std::vector<std::uint8_t> read_u8(const std::string& path) {
  std::vector<std::uint8_t> values;
  for (const std::byte b : read(path)) values.push_back(std::to_integer<std::uint8_t>(b));
  return values;
}

inline std::vector<std::byte> bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

// Returns the message of the Error that decoding throws, or "" if it succeeds.
inline std::string reason(std::span<const std::byte> bytes, const ImageLimits& limits = {}) {
  try {
    decode_image(bytes, limits);
    return "";
  } catch (const Error& e) {
    return e.what();
  }
}

// Reads tab-separated lines, without the first.
inline std::vector<std::vector<std::string>> read_table(const std::string& path) {
  std::ifstream file(path);
  std::string line, cell;
  std::vector<std::vector<std::string>> table;
  std::getline(file, line);
  while (std::getline(file, line)) {
    std::istringstream cells(line);
    table.emplace_back();
    while (std::getline(cells, cell, '\t')) table.back().push_back(cell);
  }
  return table;
}

inline std::string sha1(std::vector<std::uint8_t> m) {
  std::array<std::uint32_t, 5> h{0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
  const std::uint64_t bits = 8 * m.size();
  m.push_back(0x80);
  while (m.size() % 64 != 56) m.push_back(0);
  for (int shift = 56; shift >= 0; shift -= 8) m.push_back(static_cast<std::uint8_t>(bits >> shift));
  for (std::size_t at = 0; at < m.size(); at += 64) {
    std::array<std::uint32_t, 80> w{};
    for (std::size_t i = 0; i < 64; ++i) w[i / 4] = w[i / 4] << 8 | m[at + i];
    for (std::size_t i = 16; i < 80; ++i) w[i] = std::rotl(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    auto [a, b, c, d, e] = h;
    for (std::size_t i = 0; i < 80; ++i) {
      const std::uint32_t f = i < 20              ? (b & c) | (~b & d)
                              : i < 40 || i >= 60 ? b ^ c ^ d
                                                  : (b & c) | (b & d) | (c & d);
      constexpr std::uint32_t k[] = {0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xCA62C1D6};
      const std::uint32_t t = std::rotl(a, 5) + f + e + k[i / 20] + w[i];
      e = d, d = c, c = std::rotl(b, 30), b = a, a = t;
    }
    h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
  }
  std::string text;
  for (const std::uint32_t v : h)
    for (int shift = 28; shift >= 0; shift -= 4) text += "0123456789abcdef"[v >> shift & 15];
  return text;
}

}  // namespace reprise::data::testing
