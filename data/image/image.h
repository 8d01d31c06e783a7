// Decodes images from bytes to 8-bit RGB: JPEG, PNG, BMP, GIF, WebP, PGM and PPM; of an animation
// the first frame. The pixels are those of Pillow's convert("RGB"); README.md lists the exceptions.
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

// An image as 8-bit RGB, (H,W,3), row by row. EXIF orientation is not applied. Transparency is
// dropped and not blended.
struct Image {
  int width = 0, height = 0;
  std::vector<std::uint8_t> rgb;  // height * width * 3 values
};

// The size that an image may have. The header is checked before memory for pixels is taken.
struct ImageLimits {
  int max_side = limits::image_side;
  std::int64_t max_pixels = limits::image_pixels;
  std::int64_t max_file_bytes = limits::image_file_bytes;  // of the encoded file
};

// How 16-bit grey (PNG, PGM) becomes 8 bits: scaled, or cut off at 255 as Pillow's convert("RGB")
// does, which leaves a nearly white picture.
enum class Grey16 : std::uint8_t { scale, clip };

// The kind of a file, by its content and not by its name. Those after `pnm` are recognised to be
// refused by name.
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

// Recognises the format by the first bytes.
REPRISE_API ImageFormat detect_format(std::span<const std::byte> bytes);
// Returns the format's name for messages: "JPEG".
REPRISE_API std::string_view format_name(ImageFormat format);

// Reads the format and the size from the header and decodes nothing. Throws Error as decode_image
// does.
REPRISE_API ImageInfo probe_image(std::span<const std::byte> bytes, const ImageLimits& limits = {});

// Decodes an image. Throws Error with the reason where this build does not read such files, where
// the file is broken or cut short, and where it goes beyond the limits.
REPRISE_API Image decode_image(std::span<const std::byte> bytes, const ImageLimits& limits = {},
                               Grey16 grey16 = Grey16::scale);

// Returns the decoders' versions for people: "stb_image 2.27, libjpeg-turbo 2.1.5, libwebp 1.2.4".
REPRISE_API std::string decoder_versions();

// Returns a text for cache keys and run records. It differs where two builds may decode a file to
// different pixels.
REPRISE_API std::string decoder_id();

}  // namespace reprise::data
