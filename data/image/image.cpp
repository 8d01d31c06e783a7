// Recognises a file's format and calls its reader.
#include "data/image/image.h"

#include "data/image/decoders.h"
#include "data/image/stb_decode.h"
#include "engine/base/check.h"

namespace reprise::data {
namespace {

[[noreturn]] void refuse(ImageFormat format) {
  constexpr std::string_view readable = "JPEG, PNG, BMP, GIF, WebP, PGM or PPM";
  switch (format) {
    case ImageFormat::empty:
      throw_error("not an image: the file is empty");
    case ImageFormat::git_lfs_pointer:
      throw_error("not an image: a Git LFS pointer, the image itself was not downloaded (`git lfs pull`)");
    case ImageFormat::html:
      throw_error("not an image: a web page (HTML), probably a failed download");
    case ImageFormat::text:
      throw_error("not an image: the file is text");
    case ImageFormat::archive:
      throw_error("not an image: a zip or gzip archive");
    case ImageFormat::unknown:
      throw_error("not an image of a known format, expected {}", readable);
    default:
      throw_error("an image of a format that is not read: {}, expected {}", format_name(format), readable);
  }
}

Image read(Bytes bytes, const ImageLimits& limits, bool header_only, Grey16 grey16, ImageFormat& format) {
  format = detect_format(bytes);
  REPRISE_CHECK(static_cast<std::int64_t>(bytes.size()) <= limits.max_file_bytes,
                "the image file has {} bytes, at most {} are read", bytes.size(), limits.max_file_bytes);
  switch (format) {
    case ImageFormat::jpeg:
      return read_jpeg(bytes, limits, header_only);
    case ImageFormat::png:
      return read_png(bytes, limits, header_only, grey16);
    case ImageFormat::bmp:
      return read_bmp(bytes, limits, header_only);
    case ImageFormat::gif:
      return read_gif(bytes, limits, header_only);
    case ImageFormat::webp:
      return read_webp(bytes, limits, header_only);
    case ImageFormat::pnm:
      return read_pnm(bytes, limits, header_only, grey16);
    default:
      refuse(format);
  }
}

}  // namespace

void check_size(ImageFormat format, std::int64_t width, std::int64_t height, const ImageLimits& limits) {
  const auto name = format_name(format);
  REPRISE_CHECK(width > 0 && height > 0, "broken {}: the header says {} x {} pixels", name, width, height);
  REPRISE_CHECK(width <= limits.max_side && height <= limits.max_side && width * height <= limits.max_pixels,
                "{} of {} x {} pixels is too large: at most {} a side and {} in all", name, width, height,
                limits.max_side, limits.max_pixels);
}

ImageInfo probe_image(std::span<const std::byte> bytes, const ImageLimits& limits) {
  ImageInfo info;
  const Image image = read(bytes, limits, true, Grey16::scale, info.format);
  info.width = image.width;
  info.height = image.height;
  return info;
}

Image decode_image(std::span<const std::byte> bytes, const ImageLimits& limits, Grey16 grey16) {
  ImageFormat format;
  Image image = read(bytes, limits, false, grey16, format);
  REPRISE_INVARIANT(image.rgb.size() == std::size_t{3} * image.width * image.height,
                    "{} of {} x {} has {} values", format_name(format), image.width, image.height,
                    image.rgb.size());
  return image;
}

std::string decoder_versions() {
  std::string text = stb_version();
  for (const std::string& other : {jpeg_version(), webp_version()}) text += other.empty() ? "" : ", " + other;
  if (webp_version().empty()) text += ", no WebP";
  return text;
}

std::string decoder_id() {
  // Raise it when the code of this folder changes pixels.
  constexpr std::string_view revision = "2";
  return fmt::format("images-{} ({})", revision, decoder_versions());
}

}  // namespace reprise::data
