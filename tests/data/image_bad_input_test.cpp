// Files that are no images, or are damaged, truncated or too large:
// each is an Error with its reason.
#include <gtest/gtest.h>

#include "data/image/checksums.h"
#include "data/image/image.h"
#include "data/image/write_png.h"
#include "tests/data/image_files.h"

namespace reprise::data {
namespace {

using testing::bytes_of, testing::golden, testing::read, testing::reason;
using namespace std::string_view_literals;

struct NoImage {
  std::string_view content, word;
  ImageFormat format;
};
void PrintTo(const NoImage& n, std::ostream* out) {
  *out << n.word;
}

class NoImages : public ::testing::TestWithParam<NoImage> {};

TEST_P(NoImages, AreRefusedByName) {
  const auto bytes = bytes_of(GetParam().content);
  EXPECT_EQ(detect_format(bytes), GetParam().format);
  EXPECT_NE(reason(bytes).find(GetParam().word), std::string::npos) << reason(bytes);
  EXPECT_THROW(probe_image(bytes), Error);
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, NoImages,
    ::testing::Values(NoImage{"", "empty", ImageFormat::empty},
                      NoImage{"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
                              "Git LFS pointer", ImageFormat::git_lfs_pointer},
                      NoImage{"<!DOCTYPE html>\n<html><body>404</body></html>", "HTML", ImageFormat::html},
                      NoImage{"<!Doctype HTML>404", "HTML", ImageFormat::html},
                      NoImage{"<HEAD></HEAD>", "HTML", ImageFormat::html},
                      NoImage{"<HTML><HEAD>MOVED</HEAD></HTML>", "HTML", ImageFormat::html},
                      NoImage{"<?xml version=\"1.0\"?>\n<svg width=\"3\"/>", "SVG", ImageFormat::svg},
                      NoImage{"{\"error\": 1}", "text", ImageFormat::text},
                      NoImage{"II*\0\x08\0\0\0"sv, "TIFF", ImageFormat::tiff},
                      NoImage{"MM\0*\0\0\0\x08"sv, "TIFF", ImageFormat::tiff},
                      NoImage{"%!PS-Adobe-3.0 EPSF-3.0\n"sv, "PostScript (EPS)", ImageFormat::postscript},
                      NoImage{"icns\0\0\x12\x34"sv, "ICNS", ImageFormat::icns},
                      NoImage{"\x0A\x05\x01\x08\0\0\0\0"sv, "PCX", ImageFormat::pcx},
                      NoImage{"\x01\xDA\x01\x01\0\x03"sv, "SGI", ImageFormat::sgi},
                      NoImage{"8BPS\0\1"sv, "Photoshop", ImageFormat::psd},
                      NoImage{"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n", "Radiance HDR", ImageFormat::hdr},
                      NoImage{"\0\0\0\x20"
                              "ftypavif\0\0\0\0"sv,
                              "AVIF", ImageFormat::avif},
                      NoImage{"\0\0\0\x20"
                              "ftypheic\0\0\0\0"sv,
                              "HEIC", ImageFormat::heic},
                      NoImage{"\0\0\1\0\1\0"sv, "ICO", ImageFormat::ico},
                      NoImage{"P4\n8 8\n", "PBM", ImageFormat::bitmap_pnm},
                      NoImage{"PK\3\4\x14", "zip", ImageFormat::archive},
                      NoImage{"%PDF-1.4", "PDF", ImageFormat::pdf},
                      NoImage{"\1\2\3\4\5\6\7\x08", "known format", ImageFormat::unknown}));

class Truncation : public ::testing::TestWithParam<const char*> {};

// A truncated file is refused,
// or decodes to the same image if only bytes after the pixels are missing.
TEST_P(Truncation, IsRefusedOrHarmless) {
  const auto bytes = read(golden + GetParam());
  ASSERT_FALSE(bytes.empty());
  const bool readable = reason(bytes).empty();
  const Image whole = readable ? decode_image(bytes) : Image{};
  std::size_t refused = 0;
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    const std::vector<std::byte> cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n));
    if (!reason(cut).empty()) {
      ++refused;
    } else {
      EXPECT_EQ(decode_image(cut).rgb, whole.rgb) << "cut to " << n;
    }
  }
  EXPECT_GE(refused, bytes.size() - 24);
}

// With any one byte changed, decoding gives an image or an Error, never a crash.
TEST_P(Truncation, AndDamageDoNotCrash) {
  const auto bytes = read(golden + GetParam());
  ImageLimits limits;
  limits.max_pixels = 1 << 20;
  std::size_t done = 0;
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    for (const unsigned flip : {0x01U, 0x10U, 0x80U, 0xFFU}) {
      auto damaged = bytes;
      damaged[n] ^= static_cast<std::byte>(flip);
      reason(damaged, limits);
      ++done;
    }
  }
  EXPECT_EQ(done, 4 * bytes.size());
}

INSTANTIATE_TEST_SUITE_P(Files, Truncation,
                         ::testing::Values("rgb.png", "interlaced_palette.png", "grey16.png", "420.jpg",
                                           "progressive.jpg", "cmyk.jpg", "l.bmp", "565.bmp", "nibbles.bmp",
                                           "rle8_skips.bmp", "rle4.bmp", "fields_rgba.bmp", "palette.gif",
                                           "interlaced.gif", "lossy.webp", "lossless.webp", "animated.webp",
                                           "animated_part_alpha.webp", "binary.ppm", "text.pgm"));

// A PNG header that announces far more pixels than the file holds.
std::vector<std::byte> png_of_size(std::uint32_t width, std::uint32_t height) {
  Image image{1, 1, {1, 2, 3}};
  auto bytes = encode_png(image);
  const auto put = [&](std::size_t at, std::uint32_t v) {
    for (std::size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<std::byte>(v >> (24 - 8 * i) & 0xFF);
  };
  put(16, width);
  put(20, height);
  put(29, crc32(std::span(bytes).subspan(12, 17)));
  return bytes;
}

TEST(Checksums, AreTheStandardOnes) {
  const auto text = bytes_of("123456789");
  EXPECT_EQ(crc32(text), 0xCBF43926U);
  std::vector<std::uint8_t> values;
  for (const std::byte b : text) values.push_back(std::to_integer<std::uint8_t>(b));
  EXPECT_EQ(adler32(values), 0x091E01DEU);
}

TEST(ImageLimits, AreCheckedBeforeMemoryIsTaken) {
  EXPECT_EQ(reason(png_of_size(1, 1)), "");
  EXPECT_NE(reason(png_of_size(65501, 1)).find("too large"), std::string::npos);
  EXPECT_NE(reason(png_of_size(20000, 20000)).find("too large"), std::string::npos);
  EXPECT_NE(reason(png_of_size(0xFFFFFFFFU, 0xFFFFFFFFU)).find("too large"), std::string::npos);
  EXPECT_NE(reason(png_of_size(0, 5)).find("0 x 5"), std::string::npos);
  EXPECT_NE(reason(bytes_of("P6 60000 60000 255\n")).find("too large"), std::string::npos);
  EXPECT_NE(reason(bytes_of("P6 10000 10000 255\n")).find("cut short"), std::string::npos);
  EXPECT_NE(reason(bytes_of("P6 99999999999 1 255\n")).find("1000000"), std::string::npos);
  ImageLimits small;
  small.max_side = 16;
  for (const char* file : {"rgb.png", "420.jpg", "l.bmp", "palette.gif", "binary.ppm"})
    EXPECT_NE(reason(read(golden + file), small).find("too large"), std::string::npos) << file;
  small = {};
  small.max_file_bytes = 100;
  EXPECT_NE(reason(read(golden + "rgb.png"), small).find("at most 100"), std::string::npos);
}

// Found by fuzzing.
TEST(Broken, BmpOfABitDepthBeyondAByte) {
  auto bytes = read(golden + "rgb.bmp");
  ASSERT_EQ(bytes.at(28), std::byte{24});
  for (const unsigned depth : {1U, 8U, 24U, 32U}) {
    bytes[28] = static_cast<std::byte>(depth);
    bytes[29] = std::byte{1};
    EXPECT_NE(reason(bytes).find(std::to_string(256 + depth) + " bits"), std::string::npos) << reason(bytes);
  }
}

TEST(Broken, BmpWhoseRunLengthsEndEarly) {
  EXPECT_NE(reason(read(golden + "rle8_ends_early.bmp")).find("end after 187 of 221 pixels"),
            std::string::npos);
  EXPECT_NE(reason(read(golden + "rle24.bmp")).find("24 bits a pixel with compression 4"), std::string::npos);
}

TEST(Broken, GifWhoseFirstFrameLacksPixels) {
  EXPECT_NE(reason(read(golden + "missing_pixels.gif")).find("of 221 pixels"), std::string::npos);
  EXPECT_NE(reason(read(golden + "no_frame.gif")).find("before the first frame"), std::string::npos);
}

// A run of skips fills a large picture from a few bytes: no more than the limits allow.
TEST(ImageLimits, BoundWhatRunLengthsExpandTo) {
  auto bytes = read(golden + "rle8.bmp");
  bytes.resize(14 + 40 + 1024);
  const auto put = [&](std::size_t at, std::uint32_t v) {
    for (std::size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<std::byte>(v >> (8 * i) & 0xFF);
  };
  put(18, 1000), put(22, 255);
  for (const int v : {0, 2, 255, 255, 0, 2, 255, 255}) bytes.push_back(static_cast<std::byte>(v));
  EXPECT_EQ(reason(bytes), "");
  EXPECT_EQ(decode_image(bytes).rgb.size(), 3U * 1000 * 255);
  put(18, 65501);
  EXPECT_NE(reason(bytes).find("too large"), std::string::npos);
  put(18, 65500), put(22, 65500);
  EXPECT_NE(reason(bytes).find("too large"), std::string::npos);
}

TEST(Broken, BmpWithABitMaskOfScatteredBits) {
  auto bytes = read(golden + "fields_rgba.bmp");
  for (const unsigned mask : {0x05U, 0x00U}) {
    bytes[54] = static_cast<std::byte>(mask);
    EXPECT_NE(reason(bytes).find("the bit mask"), std::string::npos) << reason(bytes);
  }
}

TEST(Broken, PngWithoutAByteOfPixels) {
  const auto whole = encode_png({1, 1, {1, 2, 3}});
  std::vector<std::byte> bytes(whole.begin(), whole.begin() + 33);  // up to the end of IHDR
  for (const char c : "\0\0\0\0IDAT\x35\xAF\x06\x1E\0\0\0\0IEND\xAE\x42\x60\x82"sv)
    bytes.push_back(static_cast<std::byte>(c));
  EXPECT_NE(reason(bytes).find("empty"), std::string::npos) << reason(bytes);
}

// stb_image writes past its table of 257 entries, even when it only reads the size.
TEST(Broken, JpegWithAHuffmanTableOfTooManySymbols) {
  const auto whole = read(golden + "420.jpg");
  std::vector<std::byte> bytes(whole.begin(), whole.begin() + 2);
  for (const unsigned v : {0xFFU, 0xC4U, 0x03U, 0x0FU, 0x00U}) bytes.push_back(static_cast<std::byte>(v));
  for (int length = 0; length < 16; ++length) bytes.push_back(static_cast<std::byte>(length < 3 ? 0xFC : 0));
  bytes.resize(bytes.size() + std::size_t{3} * 0xFC);
  bytes.insert(bytes.end(), whole.begin() + 2, whole.end());
  EXPECT_NE(reason(bytes), "");
  EXPECT_THROW(probe_image(bytes), Error);
}

// Builds a zlib stream of fixed Huffman codes: one zero, then copies of it, 258 at a time.
std::vector<std::byte> zeros_deflated(std::size_t copies) {
  std::vector<std::byte> out{std::byte{0x78}, std::byte{0x01}};
  unsigned bits = 0, filled = 0;
  const auto put = [&](unsigned value,
                       unsigned n) {  // most significant bit first, as Huffman codes are packed
    while (n-- > 0) {
      bits |= (value >> n & 1U) << filled;
      if (++filled == 8) {
        out.push_back(static_cast<std::byte>(bits));
        bits = filled = 0;
      }
    }
  };
  put(0b110, 3);                                                      // the last block, fixed codes
  put(0b00110000, 8);                                                 // literal 0
  for (std::size_t i = 0; i < copies; ++i) put(0b1100010100000, 13);  // length 258, distance 1
  put(0, 7 + 7);               // end of block, and padding of the last byte
  out.resize(out.size() + 4);  // room for its checksum, which is checked only if the chunk's is wrong
  return out;
}

// Decoding stops at the budget if compressed pixels inflate far beyond the image.
TEST(ImageLimits, BoundWhatInflatesFromAFewBytes) {
  const auto with_pixels = [](std::size_t copies) {
    auto bytes = encode_png({1, 1, {1, 2, 3}});
    const auto stream = zeros_deflated(copies);
    std::vector<std::byte> out(bytes.begin(), bytes.begin() + 33);
    for (int shift = 24; shift >= 0; shift -= 8)
      out.push_back(static_cast<std::byte>(stream.size() >> shift & 0xFF));
    for (const char c : "IDAT"sv) out.push_back(static_cast<std::byte>(c));
    out.insert(out.end(), stream.begin(), stream.end());
    const std::uint32_t crc = crc32(std::span(out).subspan(37));
    for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<std::byte>(crc >> shift & 0xFF));
    return out;
  };
  EXPECT_EQ(reason(with_pixels(1)), "");
  EXPECT_NE(reason(with_pixels(100'000)), "");  // 26 MB for one pixel
}

}  // namespace
}  // namespace reprise::data
