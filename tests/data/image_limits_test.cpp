// Limits of images from both sides: what is exactly at one is taken, what is one beyond is refused.
#include <gtest/gtest.h>

#include <sys/mman.h>

#include <climits>
#include <cmath>

#include "data/image/checksums.h"
#include "data/image/image.h"
#include "data/image/stb_decode.h"
#include "data/limits.h"
#include "tests/data/expect_says.h"
#include "tests/data/image_files.h"
#include "tests/data/temporary_folder.h"
#include "tests/data/torch_files.h"

namespace reprise::data {
namespace {

using namespace std::string_literals;
using testing::bytes_of, testing::expect_says, testing::golden, testing::reason;
using testing_weights::le;

TEST(ImageLimits, SidesPixelsAndBytesOfImages) {
  for (const char* file : {"rgb.png", "420.jpg", "l.bmp", "palette.gif", "binary.ppm", "lossless.webp"}) {
    SCOPED_TRACE(file);
    const auto bytes = testing::read(golden + file);
    if (!reason(bytes).empty()) continue;  // this build reads no WebP
    const ImageInfo info = probe_image(bytes);
    ASSERT_NE(info.width, info.height);
    const int side = std::max(info.width, info.height);
    ImageLimits exact{side, std::int64_t{1} * info.width * info.height, std::ssize(bytes)}, less = exact;
    EXPECT_EQ(reason(bytes, exact), "");
    EXPECT_NO_THROW(probe_image(bytes, exact));
    less.max_side -= 1;
    expect_says(reason(bytes, less), "too large: at most " + std::to_string(side - 1) + " a side");
    less = exact, less.max_pixels -= 1;
    expect_says(reason(bytes, less), std::to_string(exact.max_pixels - 1) + " in all");
    EXPECT_THROW(probe_image(bytes, less), Error);
    less = exact, less.max_file_bytes -= 1;
    expect_says(reason(bytes, less), "at most " + std::to_string(exact.max_file_bytes - 1) + " are read");
    const auto begin = std::span(bytes).first(bytes.size() - 20);
    EXPECT_NE(reason(begin), "");
    // stb_image's JPEG is checked up to its end before.
    if (info.format == ImageFormat::jpeg && decoder_versions().find("libjpeg") == std::string::npos) continue;
    EXPECT_EQ(probe_image(begin).width, info.width) << "it reads the header only";
  }
  const auto high = bytes_of("P2 1 3 9 1 2 3");
  EXPECT_EQ(reason(high, {3, 3, 100}), "");
  expect_says(reason(high, {2, 3, 100}), "1 x 3 pixels is too large");
  for (const std::string size : {"0 1", "1 0"})
    expect_says(reason(bytes_of("P2 " + size + " 9 1 ")), "the header says");
}

TEST(ImageLimits, ThePresentDecodersAreNamed) {
  const std::string text = decoder_versions();
  EXPECT_TRUE(text.starts_with("stb_image "));
  EXPECT_NE(text.find("libwebp ") == text.npos, text.find("no WebP") == text.npos) << text;
  expect_says(decoder_id(), "(" + text + ")");
}

TEST(ImageLimits, TheShortestPnm) {
  EXPECT_EQ(detect_format(bytes_of("P5\n")), ImageFormat::pnm);
  EXPECT_EQ(detect_format(bytes_of("P5")), ImageFormat::text);
}

TEST(ImageLimits, NumbersOfPnm) {
  const std::pair<std::string, std::string> cases[] = {
      {"P5 1000000 1 255\n", "too large"},
      {"P5 1000001 1 255\n", "a number above 1000000"},
      {"P5 1 1 1\nx", ""},
      {"P5 1 1 0\nx", "a maximum of 0"},
      {"P5 1 1 65535\nxy", ""},
      {"P5 1 1 65536\nxy", "a maximum of 65536"},
      {"P5 1 1 255\nx", ""},
      {"P5 1 1 255\n", "cut short"},
      {"P5 1 1 256\nx", "cut short"},
      {"P6 1 1 255\nxyz", ""},
      {"P6 1 1 255\nxy", "cut short"},
      {"P2 2 1 9 1 9", ""},
      {"P2 2 1 9 1 ", "cut short"},
      {"P2 2 1 9 1 10", "the value 10 above the maximum 9"},
      {"P3 1 1 9 1 2 3", ""},
      {"P3 1 1 9 1 2 ", "cut short"},
      {"P2\t1\v1\f9\r1", ""},
      {"P2 1 1\x08"
       "9 1",
       "byte 0x8 where a number"},
      {"P2 1 1\x0E"
       "9 1",
       "byte 0xe where a number"},
      {"P2 1 1 / 1", "byte 0x2f where a number"},
      {"P2 1 1 : 1", "byte 0x3a where a number"},
      {"P2 #width\n1 1 #maximum\r9 #pixel\n5", ""},
  };
  for (const auto& [text, says] : cases) {
    SCOPED_TRACE(text);
    expect_says(reason(bytes_of(text)), says);
  }
  // A header ends with one white space.
  EXPECT_EQ(probe_image(bytes_of("P5 3 2 255\n")).width, 3);
  expect_says(message_of([] { probe_image(bytes_of("P5 3 2 255")); }), "cut short");
}

TEST(ImageLimits, ValuesOfPnm) {
  const auto grey = [](const std::string& text, Grey16 grey16 = Grey16::scale) {
    const Image image = decode_image(bytes_of(text), {}, grey16);
    EXPECT_EQ(image.rgb[0], image.rgb[1]);
    EXPECT_EQ(image.rgb[0], image.rgb[2]);
    return int{image.rgb[0]};
  };
  EXPECT_EQ(grey("P2 1 1 2 1"), 128) << "127.5, half to even";
  EXPECT_EQ(grey("P2 1 1 510 1"), 0) << "0.5, half to even";
  EXPECT_EQ(grey("P2 1 1 510 3"), 2) << "1.5, half to even";
  EXPECT_EQ(grey("P5 1 1 9\n\x0A"), 255) << "a byte above the maximum";
  for (const auto& [value, clipped] : {std::pair(254, 254), {255, 255}, {256, 255}, {65535, 255}}) {
    const std::string text = "P5 1 1 65535\n"s + static_cast<char>(value >> 8) + static_cast<char>(value);
    EXPECT_EQ(grey(text, Grey16::clip), clipped);
    EXPECT_EQ(grey(text), std::lround(value / 257.0));
  }
  EXPECT_EQ(grey("P5 1 1 255\n\x64", Grey16::clip), 0x64) << "8 bits are as they are";
  EXPECT_EQ(grey("P3 1 1 65535 25700 25700 25700", Grey16::clip), 100) << "colour is never clipped";
}

// A PNG of these chunks, each with its checksum.
std::vector<std::byte> png(const std::vector<std::pair<std::string, std::string>>& chunks) {
  std::string text = "\x89PNG\r\n\x1A\n";
  const auto be = [](std::size_t v) {
    std::string bytes;
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(v >> shift & 0xFF);
    return bytes;
  };
  for (const auto& [type, data] : chunks)
    text += be(data.size()) + type + data + be(crc32(bytes_of(type + data)));
  return bytes_of(text);
}

TEST(ImageLimits, ChunksOfPng) {
  const auto header = [](int depth, int color, int compression = 0, int filter = 0, int interlace = 0) {
    std::string data("\0\0\0\1\0\0\0\1", 8);
    for (const int v : {depth, color, compression, filter, interlace}) data += static_cast<char>(v);
    return std::pair("IHDR"s, data);
  };
  // One pixel of 8 bits, deflated: a filter byte and the pixel's.
  const auto pixels = [](std::size_t bytes) {
    std::string raw(1 + bytes, '\0');
    std::vector<std::uint8_t> values(raw.begin(), raw.end());
    std::string text = "\x78\x01" + testing_weights::deflated(raw);
    for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(adler32(values) >> shift & 0xFF);
    return std::pair("IDAT"s, text);
  };
  const std::pair end("IEND"s, ""s);
  const auto palette = [](std::size_t n) { return std::pair("PLTE"s, std::string(n, '\x10')); };
  auto short_header = header(8, 0), long_header = header(8, 0);
  short_header.second.pop_back(), long_header.second += '\0';
  using Chunks = std::vector<std::pair<std::string, std::string>>;
  const std::pair<Chunks, std::string> cases[] = {
      {{header(8, 0), pixels(1), end}, ""},
      {{short_header, pixels(1), end}, "an IHDR of 12 bytes"},
      {{long_header, pixels(1), end}, "an IHDR of 14 bytes"},
      {{header(8, 0, 1), pixels(1), end}, "compression 1, filter 0, interlace 0"},
      {{header(8, 0, 0, 1), pixels(1), end}, "compression 0, filter 1, interlace 0"},
      {{header(8, 0, 0, 0, 1), pixels(1), end}, ""},
      {{header(8, 0, 0, 0, 2), pixels(1), end}, "compression 0, filter 0, interlace 2"},
      {{header(8, 1), pixels(1), end}, "colour type 1 with 8 bits"},
      {{header(8, 5), pixels(1), end}, "colour type 5 with 8 bits"},
      {{header(8, 6), pixels(4), end}, ""},
      {{header(8, 7), pixels(1), end}, "colour type 7 with 8 bits"},
      {{header(3, 0), pixels(1), end}, "colour type 0 with 3 bits"},
      {{header(16, 3), palette(3), pixels(1), end}, "colour type 3 with 16 bits"},
      {{header(8, 3), pixels(1), end}, "a palette image without a palette"},
      {{header(8, 3), palette(768), pixels(1), end}, ""},
      {{header(8, 3), palette(771), pixels(1), end}, "a palette of 771 bytes"},
      {{header(8, 3), palette(4), pixels(1), end}, "a palette of 4 bytes"},
      {{pixels(1), end}, "chunk IDAT before IHDR"},
      {{header(8, 0), end}, "it ends without an IDAT chunk"},
      {{header(8, 0), {"aZzA", "x"}, pixels(1), end}, ""},
      {{header(8, 0), {"a@zA", "x"}, pixels(1), end}, "a chunk without a name at byte 37"},
      {{header(8, 0), {"a[zA", "x"}, pixels(1), end}, "a chunk without a name"},
      {{header(8, 0), pixels(1), {"@@@@", "x"}}, "a chunk without a name"},
  };
  for (const auto& [chunks, says] : cases) expect_says(reason(png(chunks)), says);
  // After the pixels, less than a chunk's 12 bytes are no chunk.
  auto bytes = png({header(8, 0), pixels(1)});
  bytes.resize(bytes.size() + 11, std::byte{'x'});
  EXPECT_EQ(reason(bytes), "");
  // A wrong checksum of a chunk without pixels.
  bytes = png({header(8, 3), palette(3), pixels(1), end});
  bytes[8 + 12 + 13 + 8] ^= std::byte{1};
  expect_says(reason(bytes), "the checksum of chunk PLTE is wrong");
}

TEST(ImageLimits, ValuesOf16BitGreyPng) {
  const std::string header("\0\0\0\1\0\0\0\1\x10\0\0\0\0", 13);
  for (const auto& [value, clipped] : {std::pair(254, 254), {255, 255}, {256, 255}, {65535, 255}}) {
    const std::string pixel = "\0"s + static_cast<char>(value >> 8) + static_cast<char>(value);
    const auto bytes = png(
        {{"IHDR", header}, {"IDAT", "\x78\x01" + testing_weights::deflated(pixel) + "sum!"}, {"IEND", ""}});
    const auto grey = [&](int v) { return std::vector<std::uint8_t>(3, static_cast<std::uint8_t>(v)); };
    EXPECT_EQ(decode_image(bytes, {}, Grey16::clip).rgb, grey(clipped)) << value;
    EXPECT_EQ(decode_image(bytes).rgb, grey(static_cast<int>(std::lround(value / 257.0)))) << value;
  }
}

TEST(ImageLimits, WhatInflatesFillsItsRoomExactly) {
  const auto fills = [](const std::string& data, std::size_t room) {
    std::vector<std::byte> to(room);
    return stb_inflate_raw(bytes_of(testing_weights::deflated(data)), to);
  };
  EXPECT_TRUE(fills("", 0));
  EXPECT_FALSE(fills("", 1));
  EXPECT_TRUE(fills("xy", 2));
  EXPECT_FALSE(fills("xy", 1));
  EXPECT_FALSE(fills("xy", 3));
  // Room that the decoder cannot count; none of it is touched.
  constexpr std::size_t large = 2 * (std::size_t{INT_MAX} + 1) + 2;
  void* room = ::mmap(nullptr, large, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(room, MAP_FAILED);
  EXPECT_FALSE(stb_inflate_raw(bytes_of(testing_weights::deflated("xy")),
                               std::span(static_cast<std::byte*>(room), large)));
  ::munmap(room, large);
  // The decoder begins with a block of 64 KiB.
  const auto stream = bytes_of("\x78\x01" + testing_weights::deflated("xy") + "sum!");
  EXPECT_EQ(stb_inflate(stream, 65536).size(), 2U);
  EXPECT_TRUE(stb_inflate(stream, 65535).empty());
}

TEST(ImageLimits, StbReadsSizes) {
  int width = 0, height = 0;
  EXPECT_TRUE(stb_size(png({{"IHDR", "\0\0\0\3\0\0\0\2\x08\0\0\0\0"s}}), width, height));
  EXPECT_EQ(width, 3);
  EXPECT_EQ(height, 2);
  EXPECT_FALSE(stb_size(bytes_of("no image"), width, height));
  const auto bytes = testing::read(golden + "rgb.png");
  const ImageInfo info = probe_image(bytes);
  const auto decode = [&](int w, int h) { return stb_decode(bytes, ImageFormat::png, w, h, 3).size(); };
  EXPECT_EQ(decode(info.width, info.height), std::size_t{3} * info.width * info.height);
  EXPECT_THROW(decode(info.width + 1, info.height), Error);
  EXPECT_THROW(decode(info.width, info.height + 1), Error);
}

TEST(ImageLimits, HeadersOfJpegThatEnd) {
  if (decoder_versions().find("libjpeg") == std::string::npos) GTEST_SKIP() << "no libjpeg";
  expect_says(reason(bytes_of("\xFF\xD8\xFF\xE0\0\x10"s)), "broken JPEG: the file is cut short");
}

TEST(ImageLimits, SegmentsOfJpegThatNoDecoderKnows) {
  const auto file = testing::read(golden + "420.jpg");
  const std::string text(reinterpret_cast<const char*>(file.data()), file.size()),
      segment = "\xFF\xE5\x01\x02" + std::string(256, 'x');
  const auto whole = bytes_of(text.substr(0, 2) + segment + text.substr(2));
  EXPECT_EQ(decode_image(whole).rgb, decode_image(file).rgb);
  if (decoder_versions().find("libjpeg") == std::string::npos) GTEST_SKIP() << "no libjpeg";
  for (const std::size_t end : {std::size_t{4}, segment.size() + 1, segment.size() + 2, whole.size() - 20})
    expect_says(reason(std::span(whole).first(end)), "the file is cut short");
}

TEST(ImageLimits, ScansOfJpeg) {
  if (decoder_versions().find("libjpeg") == std::string::npos) GTEST_SKIP() << "no libjpeg";
  const auto file = testing::read(golden + "progressive.jpg");
  const std::string text(reinterpret_cast<const char*>(file.data()), file.size()), scan = "\xFF\xDA",
                                                                                   end = "\xFF\xD9";
  int scans = 0;
  for (std::size_t at = 0; (at = text.find(scan, at)) != text.npos; ++at) ++scans;
  const std::size_t last = text.rfind(scan), finish = text.rfind(end);
  const auto says = [&](int n) {
    std::string repeated = text.substr(0, finish);
    for (int i = scans; i < n; ++i) repeated += text.substr(last, finish - last);
    return reason(bytes_of(repeated + end));
  };
  EXPECT_EQ(says(limits::jpeg_scans), "");
  expect_says(says(limits::jpeg_scans + 1), "too many scans");
}

TEST(ImageLimits, HeadersOfBmp) {
  const auto bmp = [](int header, int bits, int compression, int colors, std::size_t bytes) {
    std::string text = "BM" + std::string(12, '\0') + le<std::int32_t>(header);
    text += le<std::int32_t>(1) + le<std::int32_t>(1) + le<std::uint16_t>(1) +
            le(static_cast<std::uint16_t>(bits)) + le<std::int32_t>(compression) + std::string(12, '\0') +
            le<std::int32_t>(colors) + le<std::int32_t>(0);
    return bytes_of(text + std::string(bytes, '\x7F'));
  };
  const std::pair<std::vector<std::byte>, std::string> cases[] = {
      {bmp(40, 24, 0, 0, 3), ""},
      {bmp(40, 24, 0, 0, 2), "cut short"},
      {bmp(41, 24, 0, 0, 99), "a header of 41 bytes"},
      {bmp(40, 2, 0, 0, 99), "2 bits a pixel"},
      {bmp(40, 8, 0, 256, 1024 + 1), ""},
      {bmp(40, 8, 0, 257, 2000), "a palette of 257 colours, at most 256"},
      {bmp(40, 8, 0, 0, 1024 + 1), ""},  // 0: as many as the bits tell apart
      {bmp(40, 8, 0, 0, 1024), "cut short"},
      {bmp(40, 8, 0, 2, 8 + 1), ""},
      {bmp(40, 8, 0, 2, 8), "cut short"},
      {bmp(40, 8, 2, 0, 2000), ""},
      {bmp(40, 8, 3, 0, 2000), "8 bits a pixel with compression 3"},
      {bmp(40, 24, 1, 0, 2000), "24 bits a pixel with compression 1"},
      {bmp(40, 32, 0, 0, 4), ""},
      {bmp(40, 32, 0, 0, 3), "cut short"},
  };
  int i = 0;
  for (const auto& [bytes, says] : cases) {
    SCOPED_TRACE(i++);
    expect_says(reason(bytes), says);
  }
}

}  // namespace
}  // namespace reprise::data
