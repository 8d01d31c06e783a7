// Reads PGM and PPM, text (P2, P3) and binary (P5, P6). Values are scaled from the file's maximum
// to 255 and rounded.
#include <algorithm>
#include <cmath>

#include "data/image/decoders.h"
#include "engine/base/check.h"

namespace reprise::data {
namespace {

bool is_space(std::uint32_t c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

// Reads a decimal number of the header or of text pixels. Skips white space and comments before the
// number, and the one byte after it.
std::uint32_t read_number(HeaderReader& in, bool last_may_end_file) {
  std::uint32_t c = in.u8();
  while (is_space(c) || c == '#') {
    if (c == '#')
      while (c != '\n' && c != '\r') c = in.u8();
    c = in.u8();
  }
  std::uint32_t value = 0;
  for (;;) {
    REPRISE_CHECK(c >= '0' && c <= '9', "broken PNM: byte {:#x} where a number was expected", c);
    value = value * 10 + (c - '0');
    REPRISE_CHECK(value <= 1'000'000, "broken PNM: a number above 1000000");
    if (last_may_end_file && in.left() == 0) return value;
    c = in.u8();
    if (is_space(c)) return value;
  }
}

// Scales 0..maximum to 0..largest, half to even, as Pillow rounds.
double scale(std::uint32_t value, std::uint32_t maximum, double largest) {
  return std::nearbyint(static_cast<double>(value) / maximum * largest);
}

}  // namespace

Image read_pnm(Bytes bytes, const ImageLimits& limits, bool header_only, Grey16 grey16) {
  HeaderReader in(bytes, "PNM");
  in.take(1);
  const std::uint32_t kind = in.u8();
  const bool text = kind == '2' || kind == '3', color = kind == '3' || kind == '6';
  const std::uint32_t width = read_number(in, false), height = read_number(in, false);
  const std::uint32_t maximum = read_number(in, false);
  check_size(ImageFormat::pnm, width, height, limits);
  REPRISE_CHECK(maximum >= 1 && maximum <= 65535, "broken PNM: a maximum of {}, expected 1 to 65535",
                maximum);
  Image image{static_cast<int>(width), static_cast<int>(height), {}};
  if (header_only) return image;
  const std::size_t values = std::size_t{width} * height * (color ? 3 : 1),
                    value_bytes = maximum > 255 ? 2 : 1;
  // Checked before memory is taken; a text value needs a digit, and a space between two.
  REPRISE_CHECK(in.left() >= (text ? 2 * values - 1 : values * value_bytes),
                "the PNM file is cut short: {} values expected", values);
  const bool clip = grey16 == Grey16::clip && !color && maximum > 255;
  image.rgb.assign(std::size_t{3} * width * height, 0);
  for (std::size_t i = 0; i < values; ++i) {
    const std::uint32_t value = text ? read_number(in, true) : value_bytes == 2 ? in.u16_be() : in.u8();
    REPRISE_CHECK(!text || value <= maximum, "broken PNM: the value {} above the maximum {}", value, maximum);
    // Pillow takes grey above 8 bits to 16 before it clips.
    const double scaled = clip ? std::min(scale(std::min(value, maximum), maximum, 65535.0), 255.0)
                               : scale(std::min(value, maximum), maximum, 255.0);
    const auto v = static_cast<std::uint8_t>(scaled);
    for (std::size_t c = 0; c < (color ? 1 : 3); ++c) image.rgb[color ? i : 3 * i + c] = v;
  }
  return image;
}

}  // namespace reprise::data
