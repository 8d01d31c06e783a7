// SHA-256 (FIPS 180-4), for the identities of backbones and data and for digests of sealed memory.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "engine/base/export.h"

namespace reprise {

class REPRISE_API Sha256 {
 public:
  Sha256();
  void update(std::span<const std::byte> bytes);
  void update(std::string_view text) { update(std::as_bytes(std::span(text.data(), text.size()))); }
  std::array<std::uint8_t, 32> digest();  // of all bytes; ends the computation, so call it once
  std::string hex();                      // the same as 64 lower-case hexadecimal digits

 private:
  void block(const std::byte* p);
  std::array<std::uint32_t, 8> h_;
  std::array<std::byte, 64> buffer_;
  std::uint64_t total_ = 0;
};

REPRISE_API std::string sha256_hex(std::span<const std::byte> bytes);  // Sha256::hex() of the bytes

}  // namespace reprise
