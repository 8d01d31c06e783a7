// Decoding compared with Pillow: small golden files of every kind, and a folder of unusual files.
#include <gtest/gtest.h>

#include <filesystem>

#include "data/image/image.h"
#include "tests/data/image_files.h"

namespace reprise::data {
namespace {

using namespace std::string_literals;
using testing::golden, testing::odd, testing::read, testing::reason, testing::sha1;

bool has_webp() {
  return decoder_versions().find("libwebp") != std::string::npos;
}
bool has_jpeg_library() {
  return decoder_versions().find("libjpeg") != std::string::npos;
}

// Returns the pixels without the last columns of each row.
int largest_difference(const std::vector<std::uint8_t>& a, const std::vector<std::uint8_t>& b, int width,
                       int last_columns) {
  int largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (static_cast<int>(i / 3) % width < width - last_columns)
      largest = std::max(largest, std::abs(int{a[i]} - int{b[i]}));
  return largest;
}

struct Golden {
  std::string file;
  bool readable;
  int width, height;
};
void PrintTo(const Golden& g, std::ostream* out) {
  *out << g.file;
}

std::vector<Golden> golden_files() {
  std::vector<Golden> files;
  for (const auto& row : testing::read_table(golden + "expected.tsv"))
    files.push_back({row[0], row[1] == "OK", std::stoi(row[2]), std::stoi(row[3])});
  return files;
}

class GoldenImage : public ::testing::TestWithParam<Golden> {};

TEST_P(GoldenImage, IsWhatPillowMakesOfIt) {
  const auto& [file, readable, width, height] = GetParam();
  const auto bytes = read(golden + file);
  ASSERT_FALSE(bytes.empty());
  const bool webp = file.ends_with(".webp"), jpeg = file.ends_with(".jpg");
  if (webp && !has_webp()) {
    EXPECT_NE(reason(bytes).find("without libwebp"), std::string::npos) << reason(bytes);
    return;
  }
  if (!readable) {
    EXPECT_NE(reason(bytes), "");
    return;
  }
  const Image image = decode_image(bytes);
  ASSERT_EQ(image.width, width);
  ASSERT_EQ(image.height, height);
  const auto expected = testing::read_u8(golden + file + ".rgb");
  ASSERT_EQ(image.rgb.size(), expected.size());
  // stb_image rounds JPEG differently, and interpolates the last column of 4:2:2 wrongly.
  const bool by_stb = jpeg && !has_jpeg_library();
  const int last_columns = by_stb && file == "422.jpg" ? 1 : 0;
  EXPECT_LE(largest_difference(image.rgb, expected, width, last_columns), by_stb ? 3 : 0);
  const ImageInfo info = probe_image(bytes);
  EXPECT_EQ(info.width, width);
  EXPECT_EQ(info.height, height);
  EXPECT_EQ(info.format, detect_format(bytes));
}

INSTANTIATE_TEST_SUITE_P(Files, GoldenImage, ::testing::ValuesIn(golden_files()));

TEST(GoldenImages, AreThere) {
  EXPECT_GT(golden_files().size(), 60U);
}

TEST(OddImages, EqualPillowsVerdicts) {
  if (!std::filesystem::exists(odd + "pil_verdicts.tsv")) GTEST_SKIP() << "no folder " << odd;
  ASSERT_EQ(sha1({'a', 'b', 'c'}), "a9993e364706816aba3e25717850c26c9cd0d89d");
  int equal = 0, refused = 0, grey16 = 0;
  for (const auto& row : testing::read_table(odd + "pil_verdicts.tsv")) {
    const std::string &file = row[0], &mode = row[3], &size = row[4];
    const auto bytes = read(odd + file);
    if (row[1] != "OK") {
      EXPECT_NE(reason(bytes), "") << file;
      ++refused;
      continue;
    }
    if (file.starts_with("jpeg/testimgari") && !has_jpeg_library()) continue;  // arithmetic coding
    SCOPED_TRACE(file);
    Image image;
    ASSERT_NO_THROW(image = decode_image(bytes)) << reason(bytes);
    EXPECT_EQ(std::to_string(image.width) + "x" + std::to_string(image.height), size);
    // Pillow clips 16-bit grey at 255; we scale it, unless Grey16::clip is given.
    if (mode == "I") {
      ++grey16;
      EXPECT_EQ(sha1(decode_image(bytes, {}, Grey16::clip).rgb), row[5]);
      EXPECT_LE(std::count(image.rgb.begin(), image.rgb.end(), 255), std::ssize(image.rgb) / 2);
    } else if (has_jpeg_library() || !file.ends_with(".jpg")) {
      EXPECT_EQ(sha1(image.rgb), row[5]);
      ++equal;
    }
  }
  EXPECT_EQ(refused, 14);
  EXPECT_EQ(grey16, 13);
  EXPECT_EQ(equal, has_jpeg_library() ? 170 : 149);
}

// Pillow refuses such widths. Each value is scaled to 255 and cut.
TEST(Bmp, BitFieldsMayBeOfAnyWidth) {
  auto bytes = testing::read(testing::golden + "fields_rgba.bmp");
  const auto put = [&](std::size_t at, std::uint32_t v) {
    for (std::size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<std::byte>(v >> (8 * i) & 0xFF);
  };
  put(54, 0x3FF00000), put(58, 0xFFFFE), put(62, 1);
  const std::uint32_t pixel = 700U << 20 | 300000U << 1 | 1U;
  put(14 + 56, pixel);  // the first pixel of the last row
  const Image image = decode_image(bytes);
  const std::size_t at = std::size_t{3} * image.width * (image.height - 1);
  EXPECT_EQ(std::vector(image.rgb.begin() + static_cast<std::ptrdiff_t>(at),
                        image.rgb.begin() + static_cast<std::ptrdiff_t>(at) + 3),
            (std::vector<std::uint8_t>{700 * 255 / 1023, 300000 * 255 / 524287, 255}));
}

TEST(Gif, CommentsMayHoldAnyBytes) {
  auto bytes = testing::read(testing::golden + "palette.gif");
  const Image plain = decode_image(bytes);
  const auto flags = std::to_integer<unsigned>(bytes.at(10));
  ASSERT_NE(flags & 0x80U, 0U);
  const auto comment = testing::bytes_of("!\xFE\x05,;!,;" + std::string(1, '\0'));
  bytes.insert(bytes.begin() + 13 + 3 * (2 << (flags & 7U)), comment.begin(), comment.end());
  EXPECT_EQ(reason(bytes), "");
  EXPECT_EQ(decode_image(bytes).rgb, plain.rgb);
}

// One pixel drawn on a canvas of two: the other is the transparent colour where there is one.
TEST(Gif, OnlyTheTransparentColourIsTheCanvas) {
  const auto pixels = [](const std::string& flags) {
    return decode_image(testing::bytes_of("GIF89a\2\0\1\0\x81\0\0"
                                          "ABCDEFGHIJKL"
                                          "!\xF9\4"s +
                                          flags + "\0\0\3\0,\0\0\0\0\1\0\1\0\0\2\2\x44\1\0;"s))
        .rgb;
  };
  const std::vector<std::uint8_t> opaque = {'A', 'B', 'C', 'A', 'B', 'C'},
                                  transparent = {'A', 'B', 'C', 'J', 'K', 'L'};
  EXPECT_EQ(pixels("\0"s), opaque);
  EXPECT_EQ(pixels("\1"), transparent);
}

// The golden files are too small for Pillow to interlace them.
// So the test sets the flag by hand, and the data's rows then are those of four passes.
TEST(Gif, InterlacedRowsAreSorted) {
  auto bytes = testing::read(testing::golden + "palette.gif");
  const Image plain = decode_image(bytes);
  const auto byte = [&](std::size_t at) { return std::to_integer<int>(bytes.at(at)); };
  std::size_t at = 13;
  while (byte(at) != 0x2C || byte(at + 1) != 0 || byte(at + 3) != 0 || byte(at + 5) != plain.width ||
         byte(at + 7) != plain.height)
    ++at;
  ASSERT_EQ(byte(at + 9) & 0x40, 0);
  bytes[at + 9] |= std::byte{0x40};
  const Image sorted = decode_image(bytes);
  const std::size_t row = std::size_t{3} * plain.width;
  std::size_t from = 0;
  for (const auto& [first, step] : {std::pair{0, 8}, {4, 8}, {2, 4}, {1, 2}})
    for (int y = first; y < plain.height; y += step, ++from)
      EXPECT_TRUE(std::equal(plain.rgb.begin() + static_cast<std::ptrdiff_t>(row * from),
                             plain.rgb.begin() + static_cast<std::ptrdiff_t>(row * (from + 1)),
                             sorted.rgb.begin() + static_cast<std::ptrdiff_t>(row * y)))
          << "row " << y;
}

}  // namespace
}  // namespace reprise::data
