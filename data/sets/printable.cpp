#include "data/sets/printable.h"

#include <fmt/format.h>

namespace reprise::data {

bool is_printable(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    const std::size_t more = c < 0x80 ? 0 : c >= 0xC2 && c < 0xE0 ? 1 : c >= 0xE0 && c < 0xF0 ? 2 : 3;
    if (c < 0x20 || c == 0x7F || (more == 3 && (c < 0xF0 || c >= 0xF5)) || i + more >= text.size())
      return false;
    for (std::size_t k = 1; k <= more; ++k)
      if ((static_cast<unsigned char>(text[i + k]) & 0xC0) != 0x80) return false;
    i += more + 1;
  }
  return true;
}

std::string escaped(std::string_view text) {
  constexpr std::size_t longest = 100;
  std::string shown;
  for (const char c : text.substr(0, longest))
    shown += static_cast<unsigned char>(c) > 0x20 && static_cast<unsigned char>(c) < 0x7F
                 ? std::string(1, c)
                 : fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  return text.size() > longest ? shown + "…" : shown;
}

std::string why_no_task_name(std::string_view text) {
  if (text.empty()) return "it is empty";
  if (text.size() > 200) return fmt::format("it has {} bytes, at most 200 are taken", text.size());
  if (!is_printable(text)) return "it is not printable UTF-8";
  if (text.find('/') != std::string_view::npos) return "it holds a slash";
  if (text.front() == '.') return "it starts with a dot";
  return {};
}

}  // namespace reprise::data
