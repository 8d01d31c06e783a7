// BMP, uncompressed: 1, 4 and 8 bits with a palette, 16, 24 and 32 bits, bit fields. A reader of our own:
// stb_image reads OS/2 palettes short, and takes what is missing for black.
#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>

#include "data/image/decoders.h"
#include "engine/base/check.h"

namespace reprise::data {
namespace {

constexpr std::uint32_t no_compression = 0, bit_fields = 3, os2_header = 12;

struct Bmp {
  int width = 0, height = 0;
  bool bottom_up = true;
  std::uint32_t bits = 0;
  std::array<std::uint32_t, 3> masks{};                    // red, green, blue of 16 and 32 bits
  std::array<std::array<std::uint8_t, 3>, 256> palette{};  // black past its end
  std::size_t pixels_at = 0, stride = 0;
};

void read_masks(Bmp& bmp, HeaderReader& in, std::uint32_t compression) {
  bmp.masks = bmp.bits == 16 ? std::array<std::uint32_t, 3>{0x7C00, 0x3E0, 0x1F}
                             : std::array<std::uint32_t, 3>{0xFF0000, 0xFF00, 0xFF};
  if (compression != bit_fields) return;
  for (std::uint32_t& mask : bmp.masks) {
    mask = in.u32_le();
    const int width = std::popcount(mask);
    REPRISE_CHECK(width >= 1 && width <= 8 && std::popcount(mask + (mask & -mask)) <= 1,
                  "broken BMP: the bit mask {:#x}", mask);
  }
}

Bmp parse(Bytes bytes, const ImageLimits& limits) {
  HeaderReader in(bytes, "BMP");
  in.take(10);
  Bmp bmp;
  bmp.pixels_at = in.u32_le();
  const std::uint32_t header = in.u32_le();
  const bool os2 = header == os2_header;
  REPRISE_CHECK(
      os2 || header == 40 || header == 52 || header == 56 || header == 64 || header == 108 || header == 124,
      "a BMP with a header of {} bytes is not read", header);
  const std::int64_t width = os2 ? std::int64_t{in.u16_le()} : static_cast<std::int32_t>(in.u32_le());
  const std::int64_t height = os2 ? std::int64_t{in.u16_le()} : static_cast<std::int32_t>(in.u32_le());
  check_size(ImageFormat::bmp, width, std::abs(height), limits);
  bmp.width = static_cast<int>(width);
  bmp.height = static_cast<int>(std::abs(height));
  bmp.bottom_up = height > 0;
  in.take(2);
  bmp.bits = in.u16_le();
  constexpr std::array<std::uint32_t, 6> depths = {1, 4, 8, 16, 24, 32};
  REPRISE_CHECK(std::find(depths.begin(), depths.end(), bmp.bits) != depths.end(),
                "a BMP of {} bits a pixel is not read", bmp.bits);
  const std::uint32_t compression = os2 ? no_compression : in.u32_le();
  const bool deep = bmp.bits == 16 || bmp.bits == 32;
  REPRISE_CHECK(compression == no_compression || (compression == bit_fields && deep),
                "a BMP with compression {} is not read, expected none", compression);
  std::uint32_t colors = 0;
  if (!os2) {
    in.take(12);
    colors = in.u32_le();
    in.take(4);
  }
  if (deep) read_masks(bmp, in, compression);
  if (bmp.bits <= 8) {
    const std::uint32_t most = 1U << bmp.bits;
    HeaderReader entries(bytes, "BMP");
    entries.take(std::size_t{14} + header);
    for (std::uint32_t i = 0, n = colors == 0 ? most : std::min(colors, most); i < n; ++i) {
      for (const std::size_t c : {2, 1, 0}) bmp.palette[i][c] = static_cast<std::uint8_t>(entries.u8());
      if (!os2) entries.take(1);
    }
  }
  bmp.stride = (std::size_t{1} * bmp.width * bmp.bits + 31) / 32 * 4;
  return bmp;
}

void read_row(const Bmp& bmp, Bytes row, std::uint8_t* out) {
  const auto byte = [&](std::size_t i) { return std::to_integer<std::uint32_t>(row[i]); };
  for (std::size_t x = 0; x < static_cast<std::size_t>(bmp.width); ++x, out += 3) {
    if (bmp.bits <= 8) {
      const std::size_t bit = x * bmp.bits;
      const std::uint32_t index = byte(bit / 8) >> (8 - bmp.bits - bit % 8) & ((1U << bmp.bits) - 1U);
      std::copy_n(bmp.palette[index].data(), 3, out);
    } else if (bmp.bits == 24) {
      for (std::size_t c = 0; c < 3; ++c) out[c] = static_cast<std::uint8_t>(byte(3 * x + 2 - c));
    } else {
      std::uint32_t pixel = 0;
      for (std::size_t i = bmp.bits / 8; i-- > 0;) pixel = pixel << 8 | byte(x * (bmp.bits / 8) + i);
      for (std::size_t c = 0; c < 3; ++c) {
        const std::uint32_t mask = bmp.masks[c];
        // Cut, not rounded: Pillow's arithmetic.
        out[c] = static_cast<std::uint8_t>((pixel & mask) / (mask & -mask) * 255U / (mask / (mask & -mask)));
      }
    }
  }
}

}  // namespace

Image read_bmp(Bytes bytes, const ImageLimits& limits, bool header_only) {
  const Bmp bmp = parse(bytes, limits);
  Image image{bmp.width, bmp.height, {}};
  if (header_only) return image;
  HeaderReader in(bytes, "BMP");
  in.take(bmp.pixels_at);
  const auto height = static_cast<std::size_t>(bmp.height);
  // A last row without its padding is complete.
  const std::size_t row_bytes = (std::size_t{1} * bmp.width * bmp.bits + 7) / 8;
  const Bytes pixels = in.take(bmp.stride * (height - 1) + row_bytes);
  image.rgb.assign(3 * height * static_cast<std::size_t>(bmp.width), 0);
  for (std::size_t y = 0; y < height; ++y) {
    const std::size_t row = bmp.bottom_up ? height - 1 - y : y;
    read_row(bmp, pixels.subspan(bmp.stride * row, row_bytes), &image.rgb[3 * y * bmp.width]);
  }
  return image;
}

}  // namespace reprise::data
