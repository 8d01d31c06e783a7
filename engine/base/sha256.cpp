#include "engine/base/sha256.h"

#include <cstring>
#include <string_view>

#include "engine/base/sha256_block.h"

namespace reprise {

Sha256::Sha256()
    : h_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19},
      buffer_{} {}

void Sha256::block(const std::byte* p) {
  static const detail::Sha256Block of_processor = detail::sha256_block_of_processor();
  if (of_processor != nullptr)
    of_processor(h_, p);
  else
    detail::sha256_block_plain(h_, p);
}

void Sha256::update(std::span<const std::byte> bytes) {
  std::size_t filled = total_ % 64;
  total_ += bytes.size();
  while (!bytes.empty()) {
    if (filled == 0 && bytes.size() >= 64) {
      block(bytes.data());
      bytes = bytes.subspan(64);
      continue;
    }
    const std::size_t n = std::min(bytes.size(), 64 - filled);
    std::memcpy(buffer_.data() + filled, bytes.data(), n);
    bytes = bytes.subspan(n);
    filled += n;
    if (filled == 64) {
      block(buffer_.data());
      filled = 0;
    }
  }
}

std::array<std::uint8_t, 32> Sha256::digest() {
  const std::uint64_t bits = total_ * 8;
  std::array<std::byte, 72> tail{std::byte{0x80}};
  const std::size_t zeros = (total_ % 64 < 56 ? 56 : 120) - total_ % 64;
  for (std::size_t i = 0; i < 8; ++i) tail[zeros + i] = static_cast<std::byte>(bits >> (56 - 8 * i));
  update(std::span<const std::byte>(tail.data(), zeros + 8));
  std::array<std::uint8_t, 32> out;
  for (std::size_t i = 0; i < 32; ++i) out[i] = static_cast<std::uint8_t>(h_[i / 4] >> (24 - 8 * (i % 4)));
  return out;
}

std::string Sha256::hex() {
  std::string text;
  for (std::uint8_t b : digest()) {
    text += "0123456789abcdef"[b >> 4];
    text += "0123456789abcdef"[b & 15];
  }
  return text;
}

std::string sha256_hex(std::span<const std::byte> bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.hex();
}

}  // namespace reprise
