// What is UTF-8, what is printable, and how everything else is written and read back.
#include "engine/base/utf8.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "engine/base/random.h"

namespace reprise {
namespace {

TEST(Utf8, LengthsAreThoseOfTheStandard) {
  const std::vector<std::pair<std::string, std::size_t>> cases = {
      {"a", 1},
      {"\x7F", 1},
      {"\xC2\x80", 2},
      {"\xDF\xBF", 2},
      {"\xE0\xA0\x80", 3},
      {"\xED\x9F\xBF", 3},
      {"\xEE\x80\x80", 3},
      {"\xEF\xBF\xBF", 3},
      {"\xF0\x90\x80\x80", 4},
      {"\xF4\x8F\xBF\xBF", 4},
      {"", 0},
      {"\x80", 0},      // a second byte without a first
      {"\xC0\xAF", 0},  // overlong
      {"\xC1\xBF", 0},
      {"\xE0\x9F\xBF", 0},
      {"\xF0\x8F\xBF\xBF", 0},
      {"\xED\xA0\x80", 0},  // a surrogate
      {"\xED\xBF\xBF", 0},
      {"\xF4\x90\x80\x80", 0},  // above U+10FFFF
      {"\xF5\x80\x80\x80", 0},
      {"\xC3", 0},  // cut off
      {"\xE2\x82", 0},
      {"\xF0\x9F\x92", 0},
      {"\xC3(", 0},
      {"\xE2\x82(", 0},
  };
  for (const auto& [text, length] : cases) EXPECT_EQ(utf8_length(text), length) << escaped(text);
  EXPECT_EQ(utf8_length("\xC3\xA9\xFF"), 2U);
}

TEST(Utf8, WhatControlsATerminalIsNotPrintable) {
  for (const std::string text :
       {"", "a b", "\xC3\x84pfel", "A\xCC\x88pfel", "\xF0\x9F\x8D\x8E", "a\\b", "\xC2\xA0"})
    EXPECT_TRUE(is_printable(text)) << text;
  for (const std::string text : {"a\nb", "\t", "\x1B[2J", "\x7F", "\xC2\x85", "\xC2\x9B", "\xE2\x80\xAE",
                                 "\xE2\x80\xA8", "\xE2\x81\xA6", "caf\xE9", "\xED\xA0\x80"})
    EXPECT_FALSE(is_printable(text)) << escaped(text);
  EXPECT_FALSE(is_printable(std::string(1, '\0')));
  // The first and the last of each range that reorders or breaks lines, and their neighbours.
  for (const std::string text : {"\xE2\x80\xA8", "\xE2\x80\xAE", "\xE2\x81\xA6", "\xE2\x81\xA9"})
    EXPECT_FALSE(is_printable(text)) << escaped(text);
  for (const std::string text : {"\xE2\x80\xA7", "\xE2\x80\xAF", "\xE2\x81\xA5", "\xE2\x81\xAA"})
    EXPECT_TRUE(is_printable(text)) << escaped(text);
}

TEST(Utf8, EscapesWhatIsNotPrintable) {
  EXPECT_EQ(escaped("caf\xE9.png"), "caf\\xE9.png");
  EXPECT_EQ(escaped("a\\b"), "a\\\\b");
  EXPECT_EQ(escaped("\xC3\x84\n"), "\xC3\x84\\x0A");
  EXPECT_EQ(escaped("a\n\xE9\\\x1B", keep_lines), "a\n\\xE9\\\\x1B");
  EXPECT_EQ(escaped("\xC2\x9B"), "\\xC2\\x9B");
}

TEST(Utf8, EveryTextReadsBack) {
  RandomStream stream(1, "utf8");
  for (int n = 0; n < 20000; ++n) {
    std::string text;
    for (std::uint64_t i = stream.below(12); i > 0; --i) {
      const auto kind = stream.below(4);
      text += kind == 0 ? '\\' : kind == 1 ? "x0E9F"[stream.below(5)] : static_cast<char>(stream.below(256));
    }
    const std::string written = escaped(text);
    EXPECT_TRUE(is_printable(written)) << written;
    EXPECT_EQ(unescaped(written), text) << written;
    EXPECT_EQ(unescaped(escaped(text, "\n\t")), text) << written;
  }
  // Text of other programs: a backslash that begins nothing stays.
  for (const std::string text : {"C:\\data", "\\x", "\\xG0", "\\x4", "a\\"}) EXPECT_EQ(unescaped(text), text);
}

TEST(Utf8, FormsOfOneName) {
  const auto differ = [](std::string_view a, std::string_view b) {
    EXPECT_EQ(differ_in_form_only(a, b), differ_in_form_only(b, a)) << a << " " << b;
    return differ_in_form_only(a, b);
  };
  EXPECT_TRUE(differ("\xC3\x84pfel", "A\xCC\x88pfel"));
  EXPECT_TRUE(differ("caf\xC3\xA9", "cafe\xCC\x81"));
  EXPECT_TRUE(differ("caf\xC3\xA9 e\xCC\x81", "cafe\xCC\x81 \xC3\xA9"));        // mixed
  EXPECT_TRUE(differ("ph\xE1\xBB\x9F", "pho\xCC\x9B\xCC\x89"));                 // two marks
  EXPECT_TRUE(differ("\xE3\x81\x8C", "\xE3\x81\x8B\xE3\x82\x99"));              // kana
  EXPECT_TRUE(differ("\xEA\xB0\x81", "\xE1\x84\x80\xE1\x85\xA1\xE1\x86\xA8"));  // Hangul
  EXPECT_TRUE(differ("\xEA\xB0\x80", "\xE1\x84\x80\xE1\x85\xA1"));
  EXPECT_TRUE(differ("\xED\x9E\xA3", "\xE1\x84\x92\xE1\x85\xB5\xE1\x87\x82"));  // its last syllable
  EXPECT_FALSE(differ("\xED\x9E\xA3", "\xE1\x84\x92\xE1\x85\xB5\xE1\x87\x81"));
  EXPECT_TRUE(differ("\xEA\xB0\x81\xCC\x81", "\xE1\x84\x80\xE1\x85\xA1\xE1\x86\xA8\xCC\x81"));  // and a mark
  EXPECT_TRUE(differ("\xE3\x81\xB1", "\xE3\x81\xAF\xE3\x82\x9A"));  // kana with the other mark
  EXPECT_TRUE(differ("\xE0\xA5\x98", "\xE0\xA4\x95\xE0\xA4\xBC"));  // Devanagari
  // The first of the European letters, the last, and beyond them any base.
  EXPECT_TRUE(differ("\xC3\x80", "A\xCC\x80"));
  EXPECT_FALSE(differ("\xC3\x80", "E\xCC\x80"));
  EXPECT_TRUE(differ("\xC5\xBE", "z\xCC\x8C"));
  EXPECT_FALSE(differ("\xC5\xBE", "y\xCC\x8C"));
  EXPECT_TRUE(differ("\xC6\x80", "b\xCC\xB5"));
  EXPECT_FALSE(differ("\xC2\xBF", "?\xCC\x80"));  // no letter before them is composed
  EXPECT_FALSE(differ("\xEA\xB0\x82", "\xE1\x84\x80\xE1\x85\xA1\xE1\x86\xA8"));
  EXPECT_FALSE(differ("\xC3\x84pfel", "\xC3\x84pfel"));
  EXPECT_FALSE(differ("\xC3\x84pfel", "O\xCC\x88pfel"));  // another letter
  EXPECT_FALSE(differ("\xC3\x84pfel", "Apfel"));
  EXPECT_FALSE(differ("Apfel", "A\xCC\x88pfel"));
  EXPECT_FALSE(differ("\xC3\x84pfel", "A\xCC\x88pfels"));
  EXPECT_FALSE(differ("\xC3\x86", "A\xCC\x88"));
  EXPECT_FALSE(differ("", "\xCC\x88"));
}

}  // namespace
}  // namespace reprise
