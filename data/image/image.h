// Still images from bytes: JPEG, PNG, BMP, GIF (first frame), WebP, PGM and PPM, as 8-bit RGB.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/limits.h"
#include "engine/base/export.h"

namespace reprise::data {

// 8-bit RGB, row-major (H,W,3). EXIF orientation is not applied and transparency is dropped, not blended.
struct Image {
  int width = 0, height = 0;
  std::vector<std::uint8_t> rgb;  // height * width * 3 values
};

// What a file may ask for; checked against its header before memory for pixels is taken.
struct ImageLimits {
  int max_side = limits::image_side;
  std::int64_t max_pixels = limits::image_pixels;
  std::int64_t max_file_bytes = limits::image_file_bytes;  // of the encoded file
};

// What becomes of 16-bit grey (PNG, PGM): scaled to 8 bits, or cut off at 255 as Pillow's convert("RGB")
// does, which leaves a nearly white picture.
enum class Grey16 : std::uint8_t { scale, clip };

// What a file is by its content; the extension plays no part. Those below `pnm` are known and refused by
// name.
enum class ImageFormat : std::uint8_t {
  jpeg,
  png,
  bmp,
  gif,
  webp,
  pnm,
  bitmap_pnm,
  tiff,
  svg,
  psd,
  hdr,
  exr,
  avif,
  heic,
  ico,
  jpeg2000,
  jpeg_xl,
  qoi,
  dds,
  pdf,
  postscript,
  icns,
  pcx,
  sgi,
  html,
  git_lfs_pointer,
  archive,
  text,
  empty,
  unknown
};

struct ImageInfo {
  ImageFormat format = ImageFormat::unknown;
  int width = 0, height = 0;
};

REPRISE_API ImageFormat detect_format(std::span<const std::byte> bytes);
REPRISE_API std::string_view format_name(ImageFormat format);

// The format and size that the header states, without decoding. Throws Error as decode_image does.
REPRISE_API ImageInfo probe_image(std::span<const std::byte> bytes, const ImageLimits& limits = {});

// The pixels. Throws Error with the reason where the bytes are not an image that this build reads, are broken
// or cut short, or go beyond the limits.
REPRISE_API Image decode_image(std::span<const std::byte> bytes, const ImageLimits& limits = {},
                               Grey16 grey16 = Grey16::scale);

// For people, one line: "stb_image 2.27, libjpeg-turbo 2.1.5, libwebp 1.2.4".
REPRISE_API std::string decoder_versions();

// For cache keys and run records: differs whenever two builds may decode one file to different pixels.
REPRISE_API std::string decoder_id();

}  // namespace reprise::data
