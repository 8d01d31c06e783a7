#include "data/sets/names.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/base/utf8.h"

namespace reprise::data {
namespace {

std::string byte_by_byte(std::string_view text) {
  std::string bytes;
  for (const char c : text)
    bytes +=
        c > 0x20 && c < 0x7F ? std::string(1, c) : fmt::format("\\x{:02X}", static_cast<unsigned char>(c));
  return bytes;
}

}  // namespace

std::string shown(std::string_view text) {
  constexpr std::size_t longest = 100;
  return escaped(text.substr(0, longest)) + (text.size() > longest ? "…" : "");
}

std::string why_no_task_name(std::string_view text) {
  // Most systems take file names of 255 bytes. An ending is added, and "%" is written as "%25".
  const std::size_t bytes =
      text.size() + 2 * static_cast<std::size_t>(std::count(text.begin(), text.end(), '%'));
  if (text.empty()) return "it is empty";
  if (bytes > 200) return fmt::format("it has {} bytes, at most 200 are taken", bytes);
  if (!is_printable(text)) return "it is not printable UTF-8";
  if (text.find('/') != std::string_view::npos) return "it holds a slash";
  if (text.front() == '.') return "it starts with a dot";
  return {};
}

std::string other_form(const std::string& name, const std::vector<std::string>& known, std::string_view here,
                       std::string_view there) {
  for (const std::string& other : known)
    if (differ_in_form_only(name, other))
      return fmt::format(
          "\n  {:<7} {}  ({})\n  {:<7} {}  ({})\nThe two names look alike and differ in their Unicode "
          "form (NFC, NFD): rename one as the other",
          here, shown(name), byte_by_byte(name), there, shown(other), byte_by_byte(other));
  return {};
}

}  // namespace reprise::data
