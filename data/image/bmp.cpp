// Reads BMP: 1, 4 and 8 bits with a palette, plain or as run lengths; 16, 24 and 32 bits, plain or
// as bit fields. stb_image is not used: it reads OS/2 palettes short, takes missing pixels for
// black, and knows no run lengths. Where the format leaves something open, Pillow's reading
// decides.
#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>

#include "data/image/decoders.h"
#include "engine/base/check.h"

namespace reprise::data {
namespace {

constexpr std::uint32_t no_compression = 0, run_lengths_8 = 1, run_lengths_4 = 2, bit_fields = 3;
constexpr std::uint32_t os2_header = 12;
constexpr std::array<std::uint32_t, 3> masks_of_555 = {0x7C00, 0x3E0, 0x1F};
constexpr std::array<std::uint32_t, 3> masks_of_bytes = {0xFF0000, 0xFF00, 0xFF};

struct Bmp {
  int width = 0, height = 0;
  bool bottom_up = true;
  std::uint32_t bits = 0, compression = no_compression;
  std::array<std::uint32_t, 3> masks{};                    // red, green, blue of 16 to 32 bits
  std::array<std::array<std::uint8_t, 3>, 256> palette{};  // black past its end
  std::size_t pixels_at = 0, stride = 0;
  bool has_run_lengths() const { return compression == run_lengths_8 || compression == run_lengths_4; }
};

void read_masks(Bmp& bmp, HeaderReader& in) {
  bmp.masks = bmp.bits == 16 ? masks_of_555 : masks_of_bytes;
  if (bmp.compression != bit_fields) return;
  std::array<std::uint32_t, 3> masks;
  for (std::uint32_t& mask : masks) mask = in.u32_le();
  if (bmp.bits == 32 && masks == std::array<std::uint32_t, 3>{}) return;  // the usual ones are meant
  for (const std::uint32_t mask : masks)
    REPRISE_CHECK(mask != 0 && std::has_single_bit((mask >> std::countr_zero(mask)) + std::uint64_t{1}),
                  "broken BMP: the bit mask {:#x}, expected neighbouring bits", mask);
  bmp.masks = masks;
}

// Reads the palette at `in`. Then the pixels begin, unless the file header says otherwise.
void read_palette(Bmp& bmp, HeaderReader in, std::uint32_t colors, std::size_t entry_bytes) {
  const std::size_t begin = in.position();
  if (bmp.bits > 8)
    colors = 0;
  else if (colors == 0)
    colors = 1U << bmp.bits;
  REPRISE_CHECK(colors <= bmp.palette.size(), "broken BMP: a palette of {} colours, at most {} fit", colors,
                bmp.palette.size());
  const std::size_t held = std::min<std::size_t>(colors, in.left() / entry_bytes);
  for (std::size_t i = 0; i < held; ++i) {
    const Bytes entry = in.take(entry_bytes);  // blue, green, red
    for (std::size_t c = 0; c < 3; ++c) bmp.palette[i][c] = std::to_integer<std::uint8_t>(entry[2 - c]);
  }
  // Some writers leave the place out, or give the palette's.
  if (bmp.pixels_at == 0 || (colors > 0 && bmp.pixels_at == begin))
    bmp.pixels_at = begin + colors * entry_bytes;
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
  if (!os2) bmp.compression = in.u32_le();
  REPRISE_CHECK(bmp.bits > 8 ? bmp.compression == no_compression || bmp.compression == bit_fields
                             : bmp.compression <= run_lengths_4,
                "a BMP of {} bits a pixel with compression {} is not read, expected {}", bmp.bits,
                bmp.compression, bmp.bits > 8 ? "0 or 3 (bit fields)" : "0, 1 or 2 (run lengths)");
  std::uint32_t colors = 0;
  if (!os2) {
    in.take(12);
    colors = in.u32_le();
    in.take(4);
  }
  if (bmp.bits > 8) read_masks(bmp, in);
  HeaderReader after_header(bytes, "BMP");
  after_header.take(std::max(in.position(), std::size_t{14} + header));
  read_palette(bmp, after_header, colors, os2 ? 3 : 4);
  bmp.stride = (std::size_t{1} * bmp.width * bmp.bits + 31) / 32 * 4;
  return bmp;
}

// Returns the palette indices that run lengths stand for, a byte each, in the file's order of rows.
// A run ends with its row. Literal indices go on in the next row. Skipped pixels have index 0.
std::vector<std::uint8_t> expand_run_lengths(const Bmp& bmp, HeaderReader in) {
  constexpr std::uint32_t end_of_row = 0, end_of_bitmap = 1, skip = 2;
  const bool nibbles = bmp.compression == run_lengths_4;
  const auto width = static_cast<std::size_t>(bmp.width), all = width * static_cast<std::size_t>(bmp.height);
  std::vector<std::uint8_t> out;
  const auto put = [&](std::uint32_t byte, bool low) {
    out.push_back(static_cast<std::uint8_t>(!nibbles ? byte : low ? byte & 15U : byte >> 4));
  };
  std::size_t x = 0;
  while (out.size() < all && in.left() >= 2) {
    const std::uint32_t length = in.u8(), value = in.u8();
    if (length > 0) {
      const std::size_t n = std::min<std::size_t>(length, width - std::min(x, width));
      for (std::size_t i = 0; i < n; ++i) put(value, i % 2 == 1);
      x += n;
    } else if (value == end_of_row) {
      out.resize((out.size() + width - 1) / width * width);
      x = 0;
    } else if (value == end_of_bitmap) {
      break;
    } else if (value == skip) {
      const std::size_t right = in.u8(), rows = in.u8();
      out.resize(std::min(all, out.size() + right + rows * width));
      x = out.size() % width;
    } else {
      const std::size_t n = std::min<std::size_t>(value, all - out.size());
      const Bytes literal = in.take(nibbles ? (n + 1) / 2 : n);
      for (std::size_t i = 0; i < n; ++i)
        put(std::to_integer<std::uint32_t>(literal[nibbles ? i / 2 : i]), i % 2 == 1);
      x += value;
      if (in.position() % 2 == 1 && in.left() > 0) in.take(1);
    }
  }
  REPRISE_CHECK(out.size() == all, "the BMP file is cut short: its run lengths end after {} of {} pixels",
                out.size(), all);
  return out;
}

void read_row(const Bmp& bmp, Bytes row, std::uint8_t* out) {
  const auto byte = [&](std::size_t i) { return std::to_integer<std::uint32_t>(row[i]); };
  for (std::size_t x = 0; x < static_cast<std::size_t>(bmp.width); ++x, out += 3) {
    if (bmp.bits <= 8) {
      const std::size_t bit = x * bmp.bits;
      const std::uint32_t index = byte(bit / 8) >> (8 - bmp.bits - bit % 8) & ((1U << bmp.bits) - 1U);
      std::copy_n(bmp.palette[index].data(), 3, out);
    } else if (bmp.bits == 24 && bmp.masks == masks_of_bytes) {
      for (std::size_t c = 0; c < 3; ++c) out[c] = static_cast<std::uint8_t>(byte(3 * x + 2 - c));
    } else {
      std::uint32_t pixel = 0;
      for (std::size_t i = bmp.bits / 8; i-- > 0;) pixel = pixel << 8 | byte(x * (bmp.bits / 8) + i);
      for (std::size_t c = 0; c < 3; ++c) {
        const std::uint32_t mask = bmp.masks[c];
        // Cut, not rounded: Pillow's arithmetic.
        const int shift = std::countr_zero(mask);
        out[c] = static_cast<std::uint8_t>(std::uint64_t{(pixel & mask) >> shift} * 255U / (mask >> shift));
      }
    }
  }
}

}  // namespace

Image read_bmp(Bytes bytes, const ImageLimits& limits, bool header_only) {
  Bmp bmp = parse(bytes, limits);
  Image image{bmp.width, bmp.height, {}};
  if (header_only) return image;
  HeaderReader in(bytes, "BMP");
  in.take(bmp.pixels_at);
  const auto height = static_cast<std::size_t>(bmp.height), width = static_cast<std::size_t>(bmp.width);
  std::vector<std::uint8_t> indices;
  if (bmp.has_run_lengths()) {
    indices = expand_run_lengths(bmp, in);
    bmp.bits = 8;
    bmp.stride = width;
  }
  // A last row without its padding is complete.
  const std::size_t row_bytes = (width * bmp.bits + 7) / 8;
  const Bytes pixels = bmp.has_run_lengths() ? std::as_bytes(std::span(indices))
                                             : in.take(bmp.stride * (height - 1) + row_bytes);
  image.rgb.assign(3 * height * width, 0);
  for (std::size_t y = 0; y < height; ++y) {
    const std::size_t row = bmp.bottom_up ? height - 1 - y : y;
    read_row(bmp, pixels.subspan(bmp.stride * row, row_bytes), &image.rgb[3 * y * width]);
  }
  return image;
}

}  // namespace reprise::data
