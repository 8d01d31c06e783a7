// Text from files and file names: which bytes are UTF-8, and how all others are written.
#pragma once

#include <string>
#include <string_view>

#include "engine/base/export.h"

namespace reprise {

// Returns the bytes of the UTF-8 character at the start of `text`, 0 where there is none. Overlong
// forms, surrogates and code points above U+10FFFF are no characters.
REPRISE_API std::size_t utf8_length(std::string_view text);

// Returns whether `text` is UTF-8 without characters that control a terminal: U+0000 to U+001F,
// U+007F to U+009F, line and paragraph separators, and those that turn the direction of writing.
REPRISE_API bool is_printable(std::string_view text);

// Returns printable text: each byte that is not printable becomes \xE9 (its value), a backslash
// becomes two. The ASCII characters in `keep` stay as they are.
REPRISE_API std::string escaped(std::string_view text, std::string_view keep = {});
// Returns the text that `escaped` was given. A backslash that begins neither form stays.
REPRISE_API std::string unescaped(std::string_view text);

// What `escaped` keeps in a text of several lines whose names were escaped before.
inline constexpr std::string_view keep_lines = "\n\t\\";

// Returns whether two texts differ, and only in their Unicode form: a letter with its mark is one
// character (NFC) or two (NFD). Exact for Hangul and Europe's Latin letters; elsewhere it takes any
// letter for the composed one.
REPRISE_API bool differ_in_form_only(std::string_view first, std::string_view second);

}  // namespace reprise
