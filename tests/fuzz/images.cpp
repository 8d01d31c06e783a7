// Image decoders: one target per reader, which begins after the recognition of formats.
#include <cstring>

#include "data/image/checksums.h"
#include "data/image/decoders.h"
#include "data/image/resize.h"
#include "tests/fuzz/targets.h"

namespace reprise::fuzz {
namespace {

using namespace reprise::data;

// Small limits, so that the time goes into parsing and not into filling pixels.
constexpr ImageLimits limits{4096, 1 << 18, 1 << 20};

void check(const Image& image, const ImageInfo& header) {
  REPRISE_INVARIANT(image.rgb.size() == std::size_t{3} * image.width * image.height, "{} values for {} x {}",
                    image.rgb.size(), image.width, image.height);
  REPRISE_INVARIANT(image.width == header.width && image.height == header.height,
                    "two sizes, {} x {} and {} x {}", image.width, image.height, header.width, header.height);
}

template <class Read>
void decode(Read read) {
  const Image header = read(true);
  check(read(false), {ImageFormat::unknown, header.width, header.height});
}

// Sets the checksum of every whole chunk right, because a fuzzer does not find checksums.
std::vector<std::byte> with_checksums(Bytes bytes) {
  std::vector<std::byte> png(bytes.begin(), bytes.end());
  const auto byte = [&](std::size_t at) { return std::to_integer<std::size_t>(png[at]); };
  for (std::size_t at = 8; at + 12 <= png.size();) {
    const std::size_t n = byte(at) << 24 | byte(at + 1) << 16 | byte(at + 2) << 8 | byte(at + 3);
    if (n > png.size() - at - 12) break;
    const std::uint32_t sum = data::crc32(std::span(png).subspan(at + 4, n + 4));
    for (std::size_t i = 0; i < 4; ++i) png[at + 8 + n + i] = static_cast<std::byte>(sum >> (24 - 8 * i));
    at += n + 12;
  }
  return png;
}

void png(Bytes bytes) {
  const auto whole = with_checksums(bytes);
  for (const Grey16 grey : {Grey16::scale, Grey16::clip})
    decode([&](bool header_only) { return read_png(whole, limits, header_only, grey); });
}
void png_as_it_is(Bytes bytes) {
  decode([&](bool header_only) { return read_png(bytes, limits, header_only, Grey16::scale); });
}
void bmp(Bytes bytes) {
  decode([&](bool header_only) { return read_bmp(bytes, limits, header_only); });
}
void gif(Bytes bytes) {
  decode([&](bool header_only) { return read_gif(bytes, limits, header_only); });
}
void pnm(Bytes bytes) {
  for (const Grey16 grey : {Grey16::scale, Grey16::clip})
    decode([&](bool header_only) { return read_pnm(bytes, limits, header_only, grey); });
}
void jpeg(Bytes bytes) {
  decode([&](bool header_only) { return read_jpeg(bytes, limits, header_only); });
}
void webp(Bytes bytes) {
  decode([&](bool header_only) { return read_webp(bytes, limits, header_only); });
}

// The entry points, and what follows a decode.
void image(Bytes bytes) {
  const Image decoded = decode_image(bytes, limits);
  check(decoded, probe_image(bytes, limits));
  resize_bilinear(decoded, 7, 5);
}

}  // namespace

std::vector<Target> image_targets() {
  return {
      {"png", "golden/images/*.png", png},
      {"png_checksums", "golden/images/*.png", png_as_it_is},
      {"bmp", "golden/images/*.bmp", bmp},
      {"gif", "golden/images/*.gif", gif},
      {"pnm", "golden/images/*.pgm golden/images/*.ppm", pnm},
      {"jpeg", "golden/images/*.jpg", jpeg},
      {"webp", "golden/images/*.webp", webp},
      {"image", "golden/images/*.bmp golden/images/*.gif golden/images/*.pgm golden/images/*.webp", image}};
}

}  // namespace reprise::fuzz
