// The readers, one for each format. Private to this folder. Each reads the header, calls
// check_size, and then takes memory for pixels.
#pragma once

#include "data/image/image.h"
#include "data/io/byte_reader.h"

namespace reprise::data {

using Bytes = std::span<const std::byte>;

// Throws Error where a side is not positive or beyond the limits.
void check_size(ImageFormat format, std::int64_t width, std::int64_t height, const ImageLimits& limits);

// Each decodes a file of its format. With header_only the result has a size and no pixels.
Image read_jpeg(Bytes bytes, const ImageLimits& limits, bool header_only);
Image read_png(Bytes bytes, const ImageLimits& limits, bool header_only, Grey16 grey16);
Image read_bmp(Bytes bytes, const ImageLimits& limits, bool header_only);
Image read_gif(Bytes bytes, const ImageLimits& limits, bool header_only);
Image read_webp(Bytes bytes, const ImageLimits& limits, bool header_only);
Image read_pnm(Bytes bytes, const ImageLimits& limits, bool header_only, Grey16 grey16);

std::string jpeg_version();  // "libjpeg-turbo 2.1.5", or "" where stb_image reads JPEG
std::string webp_version();  // "libwebp 1.2.4", or "" where WebP is off

// Scales a value v of 0..maximum (at most 65535) to 0..255, rounded to nearest.
inline std::uint8_t scale_to_8_bits(std::uint32_t v, std::uint32_t maximum) {
  return static_cast<std::uint8_t>((v * 255U * 2U + maximum) / (2U * maximum));
}

// Reads the numbers of a header. A read past the end throws Error: the file is cut short.
class HeaderReader : public ByteReader {
 public:
  using ByteReader::ByteReader;
  std::uint32_t u8() { return number<std::uint8_t>(); }
  std::uint32_t u16_le() { return number<std::uint16_t>(); }
  std::uint32_t u32_le() { return number<std::uint32_t>(); }
  std::uint32_t u16_be() {
    const std::uint32_t high = u8();
    return high << 8 | u8();
  }
  std::uint32_t u32_be() {
    const std::uint32_t high = u16_be();
    return high << 16 | u16_be();
  }
};

}  // namespace reprise::data
