// Reads WebP, of an animation the first frame, through libwebp where it is installed.
#include "data/image/decoders.h"
#include "engine/base/check.h"

#ifdef REPRISE_WITH_WEBP

#include <webp/decode.h>
#include <webp/demux.h>

#include <algorithm>
#include <memory>

namespace reprise::data {
namespace {

// Fills image.rgb with the first frame on its canvas, which is black where the frame does not
// reach.
void read_first_frame(Bytes bytes, Image& image) {
  const WebPData file{reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
  const std::unique_ptr<WebPAnimDecoder, void (*)(WebPAnimDecoder*)> decoder(
      WebPAnimDecoderNew(&file, nullptr), WebPAnimDecoderDelete);
  REPRISE_CHECK(decoder, "broken WebP: an animation that is cut short or damaged");
  std::uint8_t* rgba = nullptr;
  int milliseconds = 0;
  REPRISE_CHECK(WebPAnimDecoderGetNext(decoder.get(), &rgba, &milliseconds) != 0,
                "broken WebP: the first frame of the animation is damaged");
  WebPAnimInfo info;
  WebPAnimDecoderGetInfo(decoder.get(), &info);
  REPRISE_CHECK(info.canvas_width == static_cast<std::uint32_t>(image.width) &&
                    info.canvas_height == static_cast<std::uint32_t>(image.height),
                "broken WebP: two sizes, {} x {} and {} x {}", image.width, image.height, info.canvas_width,
                info.canvas_height);
  for (std::size_t i = 0; i < image.rgb.size() / 3; ++i) std::copy_n(rgba + 4 * i, 3, &image.rgb[3 * i]);
}

}  // namespace

Image read_webp(Bytes bytes, const ImageLimits& limits, bool header_only) {
  const auto* data = reinterpret_cast<const std::uint8_t*>(bytes.data());
  WebPBitstreamFeatures features;
  const VP8StatusCode status = WebPGetFeatures(data, bytes.size(), &features);
  REPRISE_CHECK(status != VP8_STATUS_NOT_ENOUGH_DATA, "the WebP file is cut short: {} bytes, more expected",
                bytes.size());
  REPRISE_CHECK(status == VP8_STATUS_OK, "broken WebP: its header cannot be read");
  check_size(ImageFormat::webp, features.width, features.height, limits);
  Image image{features.width, features.height, {}};
  if (header_only) return image;
  image.rgb.assign(std::size_t{3} * features.width * features.height, 0);
  // Both drop the alpha channel and do not blend it.
  if (features.has_animation != 0)
    read_first_frame(bytes, image);
  else
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
