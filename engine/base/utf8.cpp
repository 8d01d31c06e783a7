#include "engine/base/utf8.h"

#include <fmt/format.h>

#include <charconv>

namespace reprise {
namespace {

// The bytes of the printable character at the start, 0 where there is none.
std::size_t printable_length(std::string_view text) {
  const std::size_t n = utf8_length(text);
  const std::string_view c = text.substr(0, n);
  const bool control = c < " " || (c >= "\x7F" && c < "\xC2\xA0") ||
                       (c >= "\xE2\x80\xA8" && c <= "\xE2\x80\xAE") ||
                       (c >= "\xE2\x81\xA6" && c <= "\xE2\x81\xA9");
  return control ? 0 : n;
}

}  // namespace

std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  if (text.empty()) return 0;
  const std::size_t n = byte(0) < 0x80 ? 1 : byte(0) < 0xC2 ? 0 : byte(0) < 0xE0 ? 2 : byte(0) < 0xF0 ? 3 : 4;
  if (n == 0 || n > text.size() || byte(0) > 0xF4) return 0;
  for (std::size_t i = 1; i < n; ++i)
    if (byte(i) >> 6 != 2) return 0;
  const std::string_view c = text.substr(0, n);
  if (n == 3 && (c < "\xE0\xA0" || (c >= "\xED\xA0" && c < "\xEE"))) return 0;
  if (n == 4 && (c < "\xF0\x90" || c >= "\xF4\x90")) return 0;
  return n;
}

bool is_printable(std::string_view text) {
  return escaped(text, "\\") == text;
}

std::string escaped(std::string_view text, std::string_view keep) {
  std::string out;
  while (!text.empty()) {
    const bool kept = keep.find(text.front()) != keep.npos;
    const std::size_t n = kept ? 1 : printable_length(text);
    if (n == 0)
      out += fmt::format("\\x{:02X}", static_cast<unsigned char>(text.front()));
    else if (text.front() == '\\' && !kept)
      out += "\\\\";
    else
      out += text.substr(0, n);
    text.remove_prefix(n == 0 ? 1 : n);
  }
  return out;
}

std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    const std::string_view next = text.substr(i + 1, 3);
    if (text[i] == '\\' && next.size() == 3 && next[0] == 'x' &&
        std::from_chars(next.data() + 1, next.data() + 3, value, 16).ptr == next.data() + 3) {
      out += static_cast<char>(value);
      i += 3;
    } else {
      out += text[i];
      if (text[i] == '\\' && next.starts_with('\\')) ++i;
    }
  }
  return out;
}

}  // namespace reprise
