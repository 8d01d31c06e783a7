// A cursor over bytes that are not trusted. Every read is checked against the end.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "engine/base/check.h"

namespace reprise::data {

static_assert(std::endian::native == std::endian::little, "weight files are read as little-endian");

class ByteReader {
 public:
  // `what` names the bytes in messages, "zip archive", and must outlive the reader.
  ByteReader(std::span<const std::byte> bytes, std::string_view what, std::size_t position = 0)
      : bytes_(bytes), what_(what), position_(position) {}

  std::size_t position() const { return position_; }
  std::size_t left() const { return bytes_.size() - position_; }

  // Takes the next n bytes. Throws Error where there are fewer.
  std::span<const std::byte> take(std::uint64_t n) {
    REPRISE_CHECK(n <= left(), "{}: cut short: {} bytes expected at byte {}, {} are left", what_, n,
                  position_, left());
    const auto part = bytes_.subspan(position_, static_cast<std::size_t>(n));
    position_ += part.size();
    return part;
  }
  std::string_view take_text(std::uint64_t n) {
    const auto part = take(n);
    return {reinterpret_cast<const char*>(part.data()), part.size()};
  }
  // Takes a little-endian number.
  template <std::integral T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    return value;
  }

 private:
  std::span<const std::byte> bytes_;
  std::string_view what_;
  std::size_t position_;
};

}  // namespace reprise::data
