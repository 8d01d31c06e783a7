// WebP, one still picture, through libwebp where it is installed.
#include "data/image/decoders.h"
#include "engine/base/check.h"

#ifdef REPRISE_WITH_WEBP

#include <webp/decode.h>

namespace reprise::data {

Image read_webp(Bytes bytes, const ImageLimits& limits, bool header_only) {
  const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  WebPBitstreamFeatures features;
  const VP8StatusCode status = WebPGetFeatures(data, bytes.size(), &features);
  REPRISE_CHECK(status != VP8_STATUS_NOT_ENOUGH_DATA, "the WebP file is cut short: {} bytes, more expected",
                bytes.size());
  REPRISE_CHECK(status == VP8_STATUS_OK, "broken WebP: its header cannot be read");
  REPRISE_CHECK(features.has_animation == 0, "an animated WebP is not read, expected a still picture");
  check_size(ImageFormat::webp, features.width, features.height, limits);
  Image image{features.width, features.height, {}};
  if (header_only) return image;
  image.rgb.assign(std::size_t{3} * features.width * features.height, 0);
  // The alpha channel is dropped, not blended.
  REPRISE_CHECK(WebPDecodeRGBInto(data, bytes.size(), image.rgb.data(), image.rgb.size(),
                                  3 * features.width) != nullptr,
                "broken WebP: cut short or damaged");
  return image;
}

std::string webp_version() {
  const int v = WebPGetDecoderVersion();
  return fmt::format("libwebp {}.{}.{}", v >> 16, v >> 8 & 0xFF, v & 0xFF);
}

}  // namespace reprise::data

#else

namespace reprise::data {

Image read_webp(Bytes, const ImageLimits&, bool) {
  throw_error("a WebP image: this build is without libwebp");
}
std::string webp_version() {
  return "";
}

}  // namespace reprise::data

#endif
