// Reads the first frame of a GIF. The blocks are walked here, and stb_image decodes a clean file of
// one opaque frame.
//
// As in Pillow, a transparent pixel keeps its palette colour. Pixels outside the frame have the
// transparent colour, or colour 0 where there is none.
#include <algorithm>

#include "data/image/decoders.h"
#include "data/image/stb_decode.h"
#include "engine/base/check.h"

namespace reprise::data {
namespace {

constexpr std::uint32_t extension = 0x21, image_descriptor = 0x2C, control_label = 0xF9, has_palette = 0x80,
                        trailer = 0x3B;
constexpr std::size_t palette_bytes = 768;

// Takes data sub-blocks with their lengths and the closing zero.
Bytes take_blocks(HeaderReader& in, Bytes bytes) {
  const std::size_t start = in.position();
  while (const std::uint32_t length = in.u8()) in.take(length);
  return bytes.subspan(start, in.position() - start);
}

struct Frame {
  int width = 0, height = 0;           // of the canvas
  Bytes position;                      // left, top, width, height: four 16-bit values
  std::uint32_t interlaced = 0;        // the descriptor's flag
  std::vector<std::uint8_t> palette;   // 256 colours, filled up with black
  std::uint32_t background_color = 0;  // of pixels outside the frame
  Bytes data;                          // code size and sub-blocks
};

void set_palette(Frame& frame, Bytes colors) {
  frame.palette.assign(palette_bytes, 0);
  std::transform(colors.begin(), colors.end(), frame.palette.begin(),
                 [](std::byte b) { return std::to_integer<std::uint8_t>(b); });
}

Bytes take_palette(HeaderReader& in, std::uint32_t flags) {
  return in.take(std::size_t{3} * (2U << (flags & 7U)));
}

Frame parse(Bytes bytes, const ImageLimits& limits, bool header_only) {
  HeaderReader in(bytes, "GIF");
  in.take(6);
  Frame frame;
  frame.width = static_cast<int>(in.u16_le());
  frame.height = static_cast<int>(in.u16_le());
  check_size(ImageFormat::gif, frame.width, frame.height, limits);
  if (header_only) return frame;
  const std::uint32_t flags = in.u8();
  in.take(2);
  frame.palette.resize(palette_bytes);
  for (std::size_t i = 0; i < palette_bytes; ++i) frame.palette[i] = static_cast<std::uint8_t>(i / 3);
  if ((flags & has_palette) != 0) set_palette(frame, take_palette(in, flags));
  for (;;) {
    const std::uint32_t kind = in.u8();
    if (kind == image_descriptor) break;
    REPRISE_CHECK(kind != trailer, "broken GIF: it ends before the first frame");
    if (kind != extension) continue;  // Pillow skips stray bytes
    if (in.u8() != control_label) {
      take_blocks(in, bytes);
      continue;
    }
    const Bytes control = take_blocks(in, bytes);
    if (control.size() == 6 && (std::to_integer<unsigned>(control[1]) & 1U) != 0)
      frame.background_color = std::to_integer<std::uint32_t>(control[4]);
  }
  frame.position = in.take(8);
  const std::uint32_t frame_flags = in.u8();
  frame.interlaced = frame_flags & 0x40U;
  if ((frame_flags & has_palette) != 0) set_palette(frame, take_palette(in, frame_flags));
  const std::size_t start = in.position();
  in.u8();
  take_blocks(in, bytes);
  frame.data = bytes.subspan(start, in.position() - start);
  return frame;
}

std::vector<std::byte> clean_file(const Frame& frame, Bytes original) {
  std::vector<std::byte> out(original.begin(), original.begin() + 10);
  const auto put = [&](std::initializer_list<std::uint32_t> values) {
    for (const std::uint32_t v : values) out.push_back(static_cast<std::byte>(v));
  };
  put({has_palette | 7U, 0, 0});
  for (const std::uint8_t v : frame.palette) out.push_back(static_cast<std::byte>(v));
  put({image_descriptor});
  out.insert(out.end(), frame.position.begin(), frame.position.end());
  put({frame.interlaced});
  out.insert(out.end(), frame.data.begin(), frame.data.end());
  put({trailer});
  return out;
}

}  // namespace

Image read_gif(Bytes bytes, const ImageLimits& limits, bool header_only) {
  const Frame frame = parse(bytes, limits, header_only);
  Image image{frame.width, frame.height, {}};
  if (header_only) return image;
  const auto rgba = stb_decode(clean_file(frame, bytes), ImageFormat::gif, frame.width, frame.height, 4);
  image.rgb.assign(rgba.size() / 4 * 3, 0);
  std::size_t all_drawn = 0;
  for (std::size_t i = 0; i < rgba.size() / 4; ++i) {
    const bool drawn = rgba[4 * i + 3] != 0;
    all_drawn += drawn ? 1 : 0;
    const std::uint8_t* color =
        drawn ? &rgba[4 * i] : &frame.palette[std::size_t{3} * frame.background_color];
    std::copy_n(color, 3, &image.rgb[3 * i]);
  }
  // Missing pixels are no error to stb_image.
  HeaderReader size(frame.position.subspan(4), "GIF");
  const std::size_t expected = std::size_t{size.u16_le()} * size.u16_le();
  REPRISE_CHECK(all_drawn == expected, "broken GIF: its first frame holds {} of {} pixels", all_drawn,
                expected);
  return image;
}

}  // namespace reprise::data
