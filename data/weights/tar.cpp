#include "data/weights/tar.h"

#include <algorithm>
#include <optional>

#include "data/io/byte_reader.h"
#include "data/weights/recognise.h"

namespace reprise::data {
namespace {

constexpr std::size_t block = 512;

std::string_view field(std::span<const std::byte> header, std::size_t offset, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(header.data()) + offset, size);
  return text.substr(0, text.find('\0'));
}

// Octal digits, with spaces around.
std::optional<std::uint64_t> octal(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(' ');
  if (begin == std::string_view::npos) return std::nullopt;
  std::uint64_t value = 0;
  for (char c : text.substr(begin, text.find_last_not_of(' ') + 1 - begin)) {
    if (c < '0' || c > '7') return std::nullopt;
    value = value * 8 + static_cast<std::uint64_t>(c - '0');  // at most 12 digits: 36 bits
  }
  return value;
}

// The sum of the header's bytes, its own field counted as spaces.
bool checksum_matches(std::span<const std::byte> header) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < block; ++i)
    sum += 148 <= i && i < 156 ? ' ' : std::to_integer<std::uint64_t>(header[i]);
  return octal(field(header, 148, 8)) == sum;
}

bool is_zero(std::span<const std::byte> bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

}  // namespace

bool is_tar(std::span<const std::byte> bytes) {
  return bytes.size() >= block && !is_zero(bytes.first(block)) && checksum_matches(bytes.first(block));
}

std::map<std::string, std::span<const std::byte>> read_tar(std::span<const std::byte> bytes) {
  std::map<std::string, std::span<const std::byte>> members;
  ByteReader r(bytes, "tar archive");
  for (;;) {
    const std::size_t at = r.position();
    const auto header = r.take(block);
    if (is_zero(header)) break;
    REPRISE_CHECK(checksum_matches(header), "tar archive: the header at byte {} is damaged", at);
    const std::string name(field(header, 0, 100));
    const auto size = octal(field(header, 124, 12));
    REPRISE_CHECK(size.has_value(), "tar archive: {}: its size is not an octal number", printable(name));
    const auto data = r.take(*size);
    r.take((block - *size % block) % block);
    const char type = static_cast<char>(header[156]);
    if (type == '0' || type == '\0')
      REPRISE_CHECK(members.emplace(name, data).second, "tar archive: {} comes twice", printable(name));
  }
  // Two blocks of zeros end an archive, and zeros may follow.
  REPRISE_CHECK(is_zero(r.take(block)) && is_zero(r.take(r.left())),
                "tar archive: something follows its end");
  return members;
}

}  // namespace reprise::data
