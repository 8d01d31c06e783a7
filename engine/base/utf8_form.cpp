// Whether two texts differ only in their Unicode form.
#include <algorithm>
#include <iterator>
#include <utility>

#include "engine/base/utf8.h"

namespace reprise {
namespace {

// The code points of a text; of what is no UTF-8, the bytes.
std::u32string code_points(std::string_view text) {
  std::u32string points;
  while (!text.empty()) {
    const std::size_t n = std::max<std::size_t>(1, utf8_length(text));
    char32_t point = static_cast<unsigned char>(text[0]);
    if (n > 1) point &= 0x7FU >> n;
    for (std::size_t i = 1; i < n; ++i) point = point << 6 | (static_cast<unsigned char>(text[i]) & 0x3FU);
    points += point;
    text.remove_prefix(n);
  }
  return points;
}

// Whether the character joins the one before it: accents, marks of Hebrew, Arabic and Indian
// scripts, the voiced marks of kana, vowels and finals of Hangul.
bool is_mark(char32_t c) {
  constexpr std::pair<char32_t, char32_t> ranges[] = {{0x300, 0x36F},   {0x483, 0x487},   {0x591, 0x5C7},
                                                      {0x64B, 0x65F},   {0x93C, 0x93C},   {0x9BC, 0x9BC},
                                                      {0xA3C, 0xA3C},   {0x1160, 0x11FF}, {0x1AB0, 0x1AFF},
                                                      {0x1DC0, 0x1DFF}, {0x20D0, 0x20FF}, {0x3099, 0x309A}};
  return std::any_of(std::begin(ranges), std::end(ranges),
                     [&](const auto& r) { return c >= r.first && c <= r.second; });
}

// Takes a character and its marks from the front.
std::u32string_view take_letter(std::u32string_view& text) {
  std::size_t n = std::min<std::size_t>(1, text.size());
  while (n < text.size() && is_mark(text[n])) ++n;
  const std::u32string_view letter = text.substr(0, n);
  text.remove_prefix(n);
  return letter;
}

// Whether `composed` may be the composed form of `letter`, a base and its marks. Exact for Hangul.
// For Europe's Latin letters the base must fit; no character before them is composed, any later one may be.
bool composes(std::u32string_view composed, std::u32string_view letter) {
  constexpr std::string_view latin =  // the bases of U+00C0 to U+017F, "." where there is none
      "AAAAAA.CEEEEIIII.NOOOOO..UUUUY..aaaaaa.ceeeeiiii.nooooo..uuuuy.yAaAaAaCcCcCcCcDd.."
      "EeEeEeEeEeGgGgGgGgHh.."
      "IiIiIiIiI...JjKk.LlLlLl....NnNnNn...OoOoOo..RrRrRrSsSsSsSsTtTt..UuUuUuUuUuUuWwYyYZzZzZz.";
  const char32_t c = composed[0], base = letter[0];
  if (c >= 0xAC00 && c <= 0xD7A3 && letter.size() < 4)
    return (c - 0xAC00) / 28 == (base - 0x1100) * 21 + (letter[1] - 0x1161) &&
           (c - 0xAC00) % 28 == (letter.size() == 3 ? letter[2] - 0x11A7 : 0);
  if (c >= 0xC0 + latin.size()) return true;
  return c >= 0xC0 && base == static_cast<unsigned char>(latin[c - 0xC0]);
}

}  // namespace

bool differ_in_form_only(std::string_view first, std::string_view second) {
  const std::u32string of_first = code_points(first), of_second = code_points(second);
  std::u32string_view a = of_first, b = of_second;
  bool differ = false;
  while (!a.empty() && !b.empty()) {
    std::u32string_view x = take_letter(a), y = take_letter(b);
    if (x == y) continue;
    if (x.size() > y.size()) std::swap(x, y);
    if (x.size() == y.size() || !composes(x, y)) return false;
    differ = true;
  }
  return differ && a.empty() && b.empty();
}

}  // namespace reprise
