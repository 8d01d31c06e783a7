// Every limit from both sides: what is exactly at it is taken, what is one beyond is refused.
#include "data/limits.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "data/image/checksums.h"
#include "data/image/write_png.h"
#include "data/loader/image_store.h"
#include "data/loader/pixel_cache.h"
#include "data/sets/find_tasks.h"
#include "data/sets/names.h"
#include "data/sets/original_subset.h"
#include "data/sets/split.h"
#include "data/sets/walk.h"
#include "data/weights/pickle.h"
#include "data/weights/recognise.h"
#include "data/weights/tar.h"
#include "data/weights/zip.h"
#include "tests/data/image_files.h"
#include "tests/data/temporary_folder.h"
#include "tests/data/torch_files.h"
#include "tests/data/weights_files.h"

namespace reprise::data {
namespace {

using namespace std::string_literals;
using testing::bytes_of, testing::golden, testing::reason;
using testing_weights::le, testing_weights::refusal, testing_weights::TorchFile, testing_weights::zip;

void expect_says(const std::string& text, const std::string& part) {
  EXPECT_TRUE(part.empty() ? text.empty() : text.find(part) != text.npos)
      << "expected '" << part << "', got: " << text.substr(0, 300);
}

// --- images

TEST(Limits, SidesPixelsAndBytesOfImages) {
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
    const auto begin = std::span(bytes).first(bytes.size() - 20);
    EXPECT_NE(reason(begin), "");
    // stb_image's JPEG is checked up to its end before.
    if (info.format != ImageFormat::jpeg || decoder_versions().find("libjpeg") != std::string::npos)
      EXPECT_EQ(probe_image(begin).width, info.width) << "it reads the header only";
    less.max_side -= 1;
    expect_says(reason(bytes, less), "too large: at most " + std::to_string(side - 1) + " a side");
    less = exact, less.max_pixels -= 1;
    expect_says(reason(bytes, less), std::to_string(exact.max_pixels - 1) + " in all");
    EXPECT_THROW(probe_image(bytes, less), Error);
    less = exact, less.max_file_bytes -= 1;
    expect_says(reason(bytes, less), "at most " + std::to_string(exact.max_file_bytes - 1) + " are read");
  }
  const auto high = bytes_of("P2 1 3 9 1 2 3");
  EXPECT_EQ(reason(high, {3, 3, 100}), "");
  expect_says(reason(high, {2, 3, 100}), "1 x 3 pixels is too large");
  for (const std::string size : {"0 1", "1 0"})
    expect_says(reason(bytes_of("P2 " + size + " 9 1 ")), "the header says");
}

TEST(Limits, ThePresentDecodersAreNamed) {
  const std::string text = decoder_versions();
  EXPECT_TRUE(text.starts_with("stb_image "));
  EXPECT_NE(text.find("libwebp ") == text.npos, text.find("no WebP") == text.npos) << text;
  expect_says(decoder_id(), "(" + text + ")");
}

TEST(Limits, TheShortestPnm) {
  EXPECT_EQ(detect_format(bytes_of("P5\n")), ImageFormat::pnm);
  EXPECT_EQ(detect_format(bytes_of("P5")), ImageFormat::text);
}

TEST(Limits, NumbersOfPnm) {
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
}

TEST(Limits, ValuesOfPnm) {
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

TEST(Limits, ChunksOfPng) {
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

TEST(Limits, ScansOfJpeg) {
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

TEST(Limits, HeadersOfBmp) {
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

// --- stores, tasks, lists

TEST(Limits, SizesOfAStore) {
  for (const int size : {1, 4096}) EXPECT_EQ(ImageStore({}, size, "").size(), size);
  for (const int size : {0, 4097})
    expect_says(message_of([&] { ImageStore({}, size, ""); }), "1 to 4096 is expected");
}

TEST(Limits, TheCacheTakesExactlyItsShare) {
  TemporaryFolder dir;
  std::vector<Sample> samples;
  for (int i = 0; i < 4; ++i) {
    dir.image(std::to_string(i) + ".ppm", i);
    samples.push_back({dir.path(std::to_string(i) + ".ppm"), "", 0});
  }
  ::setenv("REPRISE_CACHE_MB", "3", 1);  // four images of 512 x 512 pixels
  ImageStore store(samples, 512, dir.path("cache"));
  EXPECT_TRUE(store.load().empty());
  EXPECT_FALSE(store.in_cache_file());
  ImageStore more({samples[0]}, 1, dir.path("cache"));
  EXPECT_TRUE(more.load().empty());
  EXPECT_TRUE(more.in_cache_file());
  ::setenv("REPRISE_CACHE_MB", "-1", 1);
  expect_says(message_of([&] { ImageStore(samples, 5, "").load(); }), "expected at least 0, got -1");
  ::unsetenv("REPRISE_CACHE_MB");
}

// A cache file is written in parts of at most 64 MiB: here two rows and one.
TEST(Limits, PartsOfACacheFile) {
  TemporaryFolder dir;
  constexpr std::size_t row = (std::size_t{64} << 20) / 2;
  Digest key{};
  key[0] = 7;
  std::vector<std::int64_t> parts;
  write_rows(dir.path("rows"), key, 3, row,
             [&](std::int64_t begin, std::int64_t end, std::byte* rows, Digest* digests) {
               parts.insert(parts.end(), {begin, end});
               for (std::int64_t i = begin; i < end; ++i) {
                 std::byte* to = rows + static_cast<std::size_t>(i - begin) * row;
                 to[0] = to[row - 1] = static_cast<std::byte>(i + 1);
                 digests[i - begin] = no_digest;
               }
             });
  EXPECT_EQ(parts, (std::vector<std::int64_t>{0, 2, 2, 3}));
  const auto rows = open_rows(dir.path("rows"), key, 3, row);
  ASSERT_NE(rows, nullptr);
  for (std::int64_t i = 0; i < 3; ++i)
    for (const std::size_t at : {std::size_t{0}, row - 1})
      EXPECT_EQ(rows->row(i)[at], static_cast<std::byte>(i + 1)) << i;
}

TEST(Limits, FoldersBelowAClass) {
  TemporaryFolder dir;
  std::string deepest = "class";
  for (int i = 0; i < limits::folder_nesting; ++i) deepest += "/d";
  dir.image(deepest + "/taken.ppm");
  dir.image(deepest + "/d/not.ppm");
  const ClassFiles found = Walker(10).walk(dir.path("class"));
  ASSERT_EQ(found.images.size(), 1U);
  EXPECT_TRUE(found.images[0].ends_with("/taken.ppm"));
  ASSERT_EQ(found.unreadable.size(), 1U);
  EXPECT_EQ(found.unreadable[0].path, dir.path(deepest + "/d"));
  expect_says(found.unreadable[0].reason, "nested deeper than 64");
}

TEST(Limits, NamesOfTasks) {
  TemporaryFolder dir;
  const auto says = [&](const std::string& name) {
    for (const std::string c : {"/a/0.ppm", "/b/0.ppm"}) dir.image(name + c);
    try {
      find_tasks(dir.path(name), {});
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return ""s;
  };
  EXPECT_EQ(says(std::string(200, 'x')), "");
  expect_says(says(std::string(201, 'x')), "201 bytes, at most 200");
  EXPECT_EQ(says("%%" + std::string(194, 'x')), "");
  expect_says(says("%%" + std::string(195, 'x')), "201 bytes, at most 200");
}

TEST(Limits, LinesOfLists) {
  TemporaryFolder dir;
  for (const std::string i : {"0", "1", "2"}) dir.image(i + ".ppm");
  const auto read = [&](const std::string& text, const SetOptions& options = {}) {
    dir.write("list.txt", text);
    return find_tasks(dir.path("list.txt"), options).at(0);
  };
  const auto says = [&](const std::string& text) { return message_of([&] { read(text); }); };
  const std::string two = "0.ppm a\n1.ppm b\n", label(limits::list_label_bytes, 'x');
  EXPECT_EQ(read("0.ppm " + label + "\n1.ppm b\n").classes[1], label);
  expect_says(says("0.ppm x" + label + "\n1.ppm b\n"), "label of line 1");
  const std::string path = "./" + std::string(limits::list_path_bytes - 7, '/') + "0.ppm";
  EXPECT_EQ(read(path + " c\n1.ppm b\n").unreadable.size(), 1U) << "too long for the system, not for a list";
  expect_says(says("/" + path + " c\n1.ppm b\n"), "line 1 holds no path");
  // Labels of at most 18 digits are numbers.
  const std::string ten = std::string(16, '0') + "10";
  EXPECT_EQ(read("0.ppm " + ten + "\n1.ppm 9\n").classes, (std::vector{"9"s, ten}));
  EXPECT_EQ(read("0.ppm 0" + ten + "\n1.ppm 9\n").classes, (std::vector{"0" + ten, "9"s}));
  SetOptions options;
  options.max_files = 2;
  EXPECT_EQ(read(two, options).classes.size(), 2U);
  EXPECT_THROW(read(two + "2.ppm a\n", options), Error);
  options = {}, options.max_images = 2;
  EXPECT_EQ(read(two, options).train.size(), 2U) << "one for each class";
}

TEST(Limits, ImagesOfAClassAreRoundedToTheEvenNeighbour) {
  for (const auto& [total, classes, expected] :
       {std::tuple(5, 2, 2), {7, 2, 4}, {7, 3, 2}, {8, 3, 3}, {9, 3, 3}})
    EXPECT_EQ(images_per_class(total, classes), expected) << total << " / " << classes;
}

TEST(Limits, HowManyNamesAMessageLists) {
  for (const std::size_t n : {64, 65}) {
    const std::string message = message_of([&] {
      check_all_readable(std::vector<Unreadable>(n, {"/file", "why"}));
    });
    expect_says(message, fmt::format("{} files cannot be read\n  /file: why\n", n));
    EXPECT_EQ(std::count(message.begin(), message.end(), '\n'), n) << message;
    EXPECT_EQ(message.ends_with("\n  ..."), n > 64);
  }
  EXPECT_EQ(shown(std::string(100, 'x')), std::string(100, 'x'));
  EXPECT_EQ(shown(std::string(101, 'x')), std::string(100, 'x') + "…");
  EXPECT_EQ(printable(std::string(80, 'x')), std::string(80, 'x'));
  EXPECT_EQ(printable(std::string(81, 'x')), std::string(80, 'x') + "...");
  EXPECT_EQ(printable("\x1F ~\x7F"), "\\x1f ~\\x7f");
  for (const std::size_t n : {60, 61}) {
    SetOptions options;
    options.tasks = {"absent"};
    const std::string message = message_of([&] {
      choose_tasks(std::vector<TaskName>(n, {"x", ""}), options, "place");
    });
    EXPECT_EQ(std::count(message.begin(), message.end(), 'x'), 60) << message;
    EXPECT_EQ(message.find("61") != message.npos, n > 60) << message;
  }
}

// --- weight files

TEST(Limits, HeadersOfSafetensors) {
  const auto file = [](std::uint64_t header, std::uint64_t held) {
    std::string text = "{}" + std::string(held - 2, ' ');
    return testing_weights::bytes_from(le(header) + text);
  };
  constexpr std::uint64_t most = limits::safetensors_header_bytes;
  EXPECT_EQ(refusal(file(most, most)), "");
  expect_says(refusal(file(most, most - 1)), "cut short");
  expect_says(refusal(file(most + 1, 10)), "a header of 16777217 bytes; at most 16777216");
  EXPECT_EQ(refusal(file(2, 2)), "") << "the shortest";
  EXPECT_TRUE(
      refusal(testing_weights::bytes_from(le<std::uint64_t>((1ULL << 40) - 1) + "{}")).find("header of") !=
      std::string::npos);
  expect_says(refusal(testing_weights::bytes_from(le<std::uint64_t>(1ULL << 40) + "{}")),
              "not a weight file");
}

TEST(Limits, RanksOfTensors) {
  const auto file = [](std::size_t rank) {
    std::string shape = "1";
    for (std::size_t i = 1; i < rank; ++i) shape += ",1";
    const std::string header = R"({"a":{"dtype":"U8","shape":[)" + shape + R"(],"data_offsets":[0,1]}})";
    return parse_weights(testing_weights::bytes_from(le<std::uint64_t>(header.size()) + header + "x"),
                         "test");
  };
  EXPECT_EQ(file(Shape::max_rank).tensors.at(0).tensor.rank(), static_cast<std::int64_t>(Shape::max_rank));
  expect_says(file(Shape::max_rank + 1).unread.at("a"), fmt::format("more than {}", Shape::max_rank));
  const auto pth = [](std::size_t rank) {
    TorchFile torch;
    const std::string tensor = torch.tensor({5}, std::vector<std::int64_t>(rank, 1));
    return parse_weights(testing_weights::bytes_from(torch.file(TorchFile::dict({{"a", tensor}}))), "test");
  };
  EXPECT_EQ(pth(Shape::max_rank).tensors.at(0).tensor.data<float>()[0], 5);
  expect_says(pth(Shape::max_rank + 1).unread.at("a"), fmt::format("more than {}", Shape::max_rank));
}

TEST(Limits, ValuesOfPickles) {
  const auto says = [](const std::string& pickle) {
    try {
      const auto bytes = testing_weights::bytes_from(pickle);
      PickleHeap heap;
      std::size_t position = 0;
      return describe(*run_pickle(bytes, position, heap));
    } catch (const Error& e) {
      return std::string(e.what());
    }
  };
  constexpr std::size_t most = limits::pickle_values;
  const std::string beyond = "more than 2000000 values";
  // On the stack, as marks, in the memo, and as values of their own.
  expect_says(says("N" + std::string(most - 1, '2') + "."), "1999999 values are left over");
  expect_says(says("N" + std::string(most, '2') + "."), beyond);
  expect_says(says(std::string(most, '(') + "."), "the stack is empty");
  expect_says(says(std::string(most + 1, '(') + "."), beyond);
  expect_says(says("N" + std::string(most, '\x94') + "."), "None");
  expect_says(says("N" + std::string(most + 1, '\x94') + "."), beyond);
  expect_says(says(std::string(most, 'N') + "."), "1999999 values are left over");
  expect_says(says(testing_weights::text("x") + "Q."), "the persistent id x at byte 6 is unknown");
  // A name of a global.
  const std::string name(limits::pickle_name_bytes, 'n');
  expect_says(says(testing_weights::global("m", name) + "."), "m.nnn");
  expect_says(says(testing_weights::global("m", name + "n") + "."),
              "a name of more than 256 bytes at byte 3");
  // Protocols 0 to 5 are read.
  expect_says(says("\x80\x05N."), "None");
  expect_says(says("\x80\x06N."), "protocol 6 at byte 0; up to 5");
}

TEST(Limits, ContainersAroundAStateDict) {
  const auto file = [](int nesting) {
    TorchFile torch;
    std::string value = TorchFile::dict({{"a", torch.tensor({5}, {1})}});
    for (int i = 0; i < nesting; ++i) value = i % 2 == 0 ? value + "\x85" : TorchFile::dict({{"k", value}});
    return testing_weights::bytes_from(torch.file(value));
  };
  const WeightFile deep = parse_weights(file(limits::state_dict_nesting), "test");
  EXPECT_EQ(deep.tensors.at(0).tensor.data<float>()[0], 5);
  EXPECT_EQ(std::count(deep.section.begin(), deep.section.end(), '.'), limits::state_dict_nesting - 1);
  expect_says(refusal(file(limits::state_dict_nesting + 1)), "the file holds a tuple of 1");
}

TEST(Limits, WhatAZipInflatesTo) {
  const auto file = [](const std::string& packed, std::uint32_t grow) {
    return zip({{"a", packed, 8, 0, grow, true, "x"}});
  };
  const auto says = [](const std::string& archive) {
    const auto bytes = testing_weights::bytes_from(archive);
    ZipReader reader(bytes);
    return message_of([&] { reader.read("a"); });
  };
  // Deflate shrinks at most 1032 times.
  expect_says(says(file("12", 2 * 1032 + 1031 - 1)), "cannot be inflated");
  expect_says(says(file("12", 3 * 1032 - 1)), "cannot have 3096 bytes: 2 are packed");
  // At most 256 MiB, or 32 times the file. Both of them within their 1032 times.
  const std::string packed(300'000, '\x07');  // a block of a kind that does not exist
  constexpr auto most = static_cast<std::uint32_t>(limits::inflated_bytes);
  expect_says(says(file(packed, most - 1)), "cannot be inflated");
  expect_says(says(file(packed, most)), "would take 268435457 bytes, too many");
}

TEST(Limits, PlacesInAZip) {
  const std::string good = zip({{"a", "12345678"}});
  const auto says = [](const std::string& archive) {
    try {
      const auto bytes = testing_weights::bytes_from(archive);
      ZipReader(bytes).read("a");
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return ""s;
  };
  EXPECT_EQ(says(good), "");
  const std::size_t end = good.size() - 22, directory = good.find("PK\1\2");
  const auto changed = [&](std::size_t at, std::uint32_t by) {
    std::string archive = good;
    archive[at] = static_cast<char>(archive[at] + static_cast<char>(by));
    return archive;
  };
  expect_says(says(changed(end + 12, 1)), "the directory lies outside the file");  // its size
  expect_says(says(changed(end + 16, 1)), "the directory lies outside the file");  // its place
  expect_says(says(changed(end + 12, 255)), "cut short");                          // one byte less
  expect_says(says(changed(end + 4, 1)), "spans several disks");
  expect_says(says(changed(end + 6, 1)), "spans several disks");
  expect_says(says(changed(end + 8, 1)), "spans several disks");
  expect_says(says(changed(directory, 1)), "the directory is damaged at byte");
  expect_says(says(changed(directory + 42, 1)), "has no header at byte 1");
  expect_says(says(changed(30, 1)), "another name in its own header");
  // The longest comment after the end record, and one byte more.
  const auto with_comment = [&](std::size_t said, std::size_t held) {
    std::string archive = good.substr(0, good.size() - 2) + le(static_cast<std::uint16_t>(said));
    return archive + std::string(held, 'c');
  };
  EXPECT_EQ(says(with_comment(65535, 65535)), "");
  expect_says(says(with_comment(65535, 65536)), "no end record");
  expect_says(says(with_comment(65535, 65534)), "no end record");
}

TEST(Limits, EntriesOfAWrittenZipBeginAtMultiplesOf64) {
  ZipWriter writer;
  std::string name = "n";
  for (std::size_t size = 0; size < 70; ++size, name += "n") writer.add(name, std::string(size, 'x'));
  const std::vector<std::byte> bytes = writer.finish();
  ZipReader reader(bytes);
  ASSERT_EQ(reader.names().size(), 70U);
  for (const std::string& entry : reader.names()) {
    EXPECT_EQ(reader.read(entry).size(), entry.size() - 1);
    EXPECT_EQ((reader.read(entry).data() - bytes.data()) % 64, 0) << entry.size();
  }
}

TEST(Limits, NumbersInAWrittenPickle) {
  for (const std::int64_t n : {2147483646LL, 2147483647LL, 2147483648LL, 2147483649LL}) {
    const std::vector<std::byte> bytes = to_pth({{"a", empty({0, n})}, {"b", ones({2})}});
    const WeightFile file = parse_weights(bytes, "test");
    EXPECT_EQ(file.find("a")->shape(), (Shape{0, n}));
    EXPECT_EQ(file.find("b")->data<float>()[1], 1);
  }
}

TEST(Limits, BlocksOfATar) {
  const auto header = [](const std::string& name, const std::string& size, char type) {
    std::string block(512, '\0');
    block.replace(0, name.size(), name);
    block.replace(124, size.size(), size);
    block.replace(148, 8, std::string(8, ' '));
    block[156] = type;
    unsigned sum = 0;
    for (const char c : block) sum += static_cast<unsigned char>(c);
    return block.replace(148, 7, fmt::format("{:06o}", sum) + '\0');
  };
  const std::string zeros(512, '\0'), data = "x" + std::string(511, '\0');
  const auto says = [](const std::string& archive) {
    try {
      const auto bytes = testing_weights::bytes_from(archive);
      std::string names;
      for (const auto& [name, content] : read_tar(bytes))
        names += fmt::format("{}:{} ", name, content.size());
      return names;
    } catch (const Error& e) {
      return std::string(e.what());
    }
  };
  const std::string one = header("a", "00000000001", '0') + data, long_name(100, 'n');
  EXPECT_EQ(says(one + zeros + zeros), "a:1 ");
  EXPECT_EQ(says(one + zeros + zeros + zeros), "a:1 ");
  EXPECT_EQ(says(header("a", " 1 ", '\0') + data + zeros + zeros), "a:1 ");
  EXPECT_EQ(says(header("d", "0", '5') + one + zeros + zeros), "a:1 ") << "folders are passed over";
  EXPECT_EQ(says(header(long_name, "0", '0') + zeros + zeros), long_name + ":0 ");
  expect_says(says(one + one + zeros + zeros), "a comes twice");
  expect_says(says(one + zeros), "cut short");
  expect_says(says(one + zeros + data), "something follows its end");
  expect_says(says(one + zeros + zeros + "x"), "something follows its end");
  for (const std::string size : {"8", "/", "1 1", "x"})
    expect_says(says(header("a", size, '0') + data + zeros + zeros), "its size is not an octal number");
  std::string damaged = one + zeros + zeros;
  damaged[0] = 'b';
  expect_says(says(damaged), "the header at byte 0 is damaged");
}

}  // namespace
}  // namespace reprise::data
