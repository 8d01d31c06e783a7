// Resizing and PNG writing.
#include <gtest/gtest.h>

#include <filesystem>

#include "data/image/resize.h"
#include "data/image/write_png.h"
#include "tests/data/image_files.h"

namespace reprise::data {
namespace {

using testing::golden, testing::read;

TEST(Resize, EqualsPillowToTheBit) {
  const Image source = decode_image(read(golden + "resize/source.png"));
  int checked = 0;
  for (const auto& entry : std::filesystem::directory_iterator(golden + "resize")) {
    if (entry.path().extension() != ".rgb") continue;
    const std::string name = entry.path().stem();
    const int width = std::stoi(name), height = std::stoi(name.substr(name.find('x') + 1));
    const Image image = resize_bilinear(source, width, height);
    EXPECT_EQ(image.width, width);
    EXPECT_EQ(image.height, height);
    EXPECT_EQ(image.rgb, testing::read_u8(entry.path().string())) << name;
    ++checked;
  }
  EXPECT_EQ(checked, 20);
}

TEST(Resize, OfOnePixelRepeatsIt) {
  const Image image = resize_bilinear({1, 1, {7, 200, 255}}, 3, 2);
  for (std::size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(image.rgb[3 * i], 7);
    EXPECT_EQ(image.rgb[3 * i + 1], 200);
    EXPECT_EQ(image.rgb[3 * i + 2], 255);
  }
}

TEST(Resize, RefusesEmptySizes) {
  const Image one{1, 1, {7, 200, 255}};
  EXPECT_THROW(resize_bilinear(one, 0, 5), Error);
  EXPECT_THROW(resize_bilinear(one, 5, -1), Error);
  EXPECT_THROW(resize_bilinear({}, 5, 5), Error);
}

TEST(WritePng, ReadsBackTheSame) {
  const Image source = decode_image(read(golden + "resize/source.png"));
  for (const auto& [width, height] :
       {std::pair{1, 1}, {37, 29}, {300, 200}}) {  // the last needs several blocks
    const Image image = resize_bilinear(source, width, height);
    const Image again = decode_image(encode_png(image));
    EXPECT_EQ(again.width, width);
    EXPECT_EQ(again.rgb, image.rgb);
  }
  // A block holds 65535 bytes, those of 771 rows of 28 pixels.
  for (const auto& [height, blocks] : {std::pair{771, 1}, {772, 2}}) {
    const Image image = resize_bilinear(source, 28, height);
    const std::vector<std::byte> bytes = encode_png(image);
    EXPECT_EQ(decode_image(bytes).rgb, image.rgb);
    EXPECT_EQ(bytes.size(), 8U + (12 + 13) + (12 + 2 + 5 * blocks + 85 * height + 4) + 12);
  }
  for (const auto& [width, height] : {std::pair{0, 0}, {0, 5}, {5, 0}}) {
    EXPECT_THROW(encode_png({width, height, {}}), Error);
    EXPECT_THROW(resize_bilinear({width, height, {}}, 2, 2), Error);
  }
  const std::string path = ::testing::TempDir() + "reprise_write_png.png";
  write_png(path, source);
  EXPECT_EQ(decode_image(read(path)).rgb, source.rgb);
  std::filesystem::remove(path);
  EXPECT_THROW(write_png(path + "/no/such/folder.png", source), Error);
}

}  // namespace
}  // namespace reprise::data
