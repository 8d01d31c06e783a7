// Reads JPEG by libjpeg-turbo with its default settings, which are Pillow's: accurate integer
// transform, smooth chroma upsampling. Where it is absent, stb_image reads JPEG after a check of
// the markers.
#include "data/image/decoders.h"
#include "data/image/stb_decode.h"
#include "data/limits.h"
#include "engine/base/check.h"

#ifdef REPRISE_WITH_JPEG

#include <csetjmp>
#include <cstdio>

#include <jpeglib.h>

namespace reprise::data {
namespace {

// The state of a decode. It lives outside the function that longjmp leaves; nothing between setjmp
// and longjmp has a destructor.
struct Decoder {
  jpeg_decompress_struct jpeg{};
  jpeg_error_mgr errors{};
  jpeg_source_mgr source{};
  jpeg_progress_mgr progress{};
  std::jmp_buf failed{};
  char reason[JMSG_LENGTH_MAX] = "cannot be decoded";
  ~Decoder() { jpeg_destroy_decompress(&jpeg); }
};

Decoder* decoder_of(j_common_ptr jpeg) {
  return static_cast<Decoder*>(jpeg->client_data);
}

[[noreturn]] void on_error(j_common_ptr jpeg) {
  Decoder* d = decoder_of(jpeg);
  jpeg->err->format_message(jpeg, d->reason);
  std::longjmp(d->failed, 1);
}

[[noreturn]] void fail(Decoder& d, const char* reason) {
  std::snprintf(d.reason, sizeof d.reason, "%s", reason);
  std::longjmp(d.failed, 1);
}

// Warnings (damaged entropy data, odd markers) are ignored, as in Pillow.
void on_warning(j_common_ptr, int) {}
void on_message(j_common_ptr) {}
void init_source(j_decompress_ptr) {}
void term_source(j_decompress_ptr) {}
boolean fill_buffer(j_decompress_ptr jpeg) {
  fail(*decoder_of(reinterpret_cast<j_common_ptr>(jpeg)), "the file is cut short");
}

void skip_bytes(j_decompress_ptr jpeg, long n) {
  if (n <= 0) return;
  if (static_cast<unsigned long>(n) > jpeg->src->bytes_in_buffer) fill_buffer(jpeg);
  jpeg->src->next_input_byte += n;
  jpeg->src->bytes_in_buffer -= static_cast<std::size_t>(n);
}

void on_progress(j_common_ptr jpeg) {
  if (reinterpret_cast<j_decompress_ptr>(jpeg)->input_scan_number > limits::jpeg_scans)
    fail(*decoder_of(jpeg), "it has too many scans");
}

void prepare(Decoder& d) {
  d.jpeg.err = jpeg_std_error(&d.errors);
  d.jpeg.client_data = &d;
  d.errors.error_exit = on_error;
  d.errors.emit_message = on_warning;
  d.errors.output_message = on_message;
}

bool read_header(Decoder& d, Bytes bytes) {
  if (setjmp(d.failed) != 0) return false;
  jpeg_create_decompress(&d.jpeg);
  d.source.init_source = init_source;
  d.source.fill_input_buffer = fill_buffer;
  d.source.skip_input_data = skip_bytes;
  d.source.resync_to_restart = jpeg_resync_to_restart;
  d.source.term_source = term_source;
  d.source.next_input_byte = reinterpret_cast<const JOCTET*>(bytes.data());
  d.source.bytes_in_buffer = bytes.size();
  d.jpeg.src = &d.source;
  d.progress.progress_monitor = on_progress;
  d.jpeg.progress = &d.progress;
  d.jpeg.mem->max_memory_to_use = limits::jpeg_working_bytes;
  jpeg_read_header(&d.jpeg, TRUE);
  if (d.jpeg.data_precision != 8) fail(d, "samples of other than 8 bits are not read");
  return true;
}

// Writes (H,W,components) to `out`, row by row.
bool read_pixels(Decoder& d, std::uint8_t* out) {
  if (setjmp(d.failed) != 0) return false;
  jpeg_start_decompress(&d.jpeg);
  const std::size_t stride =
      std::size_t{d.jpeg.output_width} * static_cast<std::size_t>(d.jpeg.output_components);
  while (d.jpeg.output_scanline < d.jpeg.output_height) {
    JSAMPROW row = out + stride * d.jpeg.output_scanline;
    jpeg_read_scanlines(&d.jpeg, &row, 1);
  }
  jpeg_finish_decompress(&d.jpeg);
  return true;
}

// Converts four inks, inverted in the file by Adobe's convention, to RGB in Pillow's arithmetic.
void cmyk_to_rgb(const std::vector<std::uint8_t>& inks, std::vector<std::uint8_t>& rgb) {
  for (std::size_t i = 0; i < inks.size() / 4; ++i) {
    const int light = inks[4 * i + 3];
    for (std::size_t c = 0; c < 3; ++c) {
      const int product = (255 - inks[4 * i + c]) * light + 128;
      const int value = light - (((product >> 8) + product) >> 8);
      rgb[3 * i + c] = static_cast<std::uint8_t>(value < 0 ? 0 : value);
    }
  }
}

}  // namespace

Image read_jpeg(Bytes bytes, const ImageLimits& limits, bool header_only) {
  Decoder d;
  prepare(d);
  REPRISE_CHECK(read_header(d, bytes), "broken JPEG: {}", d.reason);
  check_size(ImageFormat::jpeg, d.jpeg.image_width, d.jpeg.image_height, limits);
  Image image{static_cast<int>(d.jpeg.image_width), static_cast<int>(d.jpeg.image_height), {}};
  const int components = d.jpeg.num_components;
  REPRISE_CHECK(components == 1 || components == 3 || components == 4,
                "a JPEG of {} components is not read, expected 1, 3 or 4", components);
  if (header_only) return image;
  d.jpeg.out_color_space = components == 4 ? JCS_CMYK : components == 3 ? JCS_RGB : JCS_GRAYSCALE;
  const std::size_t pixels = std::size_t{1} * d.jpeg.image_width * d.jpeg.image_height;
  image.rgb.assign(3 * pixels, 0);
  std::vector<std::uint8_t> inks(components == 4 ? 4 * pixels : 0);
  REPRISE_CHECK(read_pixels(d, components == 4 ? inks.data() : image.rgb.data()), "broken JPEG: {}",
                d.reason);
  if (components == 4) cmyk_to_rgb(inks, image.rgb);
  if (components == 1) {
    for (std::size_t i = pixels; i-- > 0;) {
      const std::uint8_t grey = image.rgb[i];
      image.rgb[3 * i] = image.rgb[3 * i + 1] = image.rgb[3 * i + 2] = grey;
    }
  }
  return image;
}

std::string jpeg_version() {
#define REPRISE_TEXT_OF(x) #x
#define REPRISE_TEXT(x) REPRISE_TEXT_OF(x)
#ifdef LIBJPEG_TURBO_VERSION
  return "libjpeg-turbo " REPRISE_TEXT(LIBJPEG_TURBO_VERSION);
#else
  return "libjpeg " REPRISE_TEXT(JPEG_LIB_VERSION);
#endif
}

}  // namespace reprise::data

#else

namespace reprise::data {
namespace {

// Checks the counts of Huffman tables, which stb_image trusts. check_markers looks for the end of
// the image, without which stb_image makes grey.
void check_huffman_tables(HeaderReader segment) {
  while (segment.left() > 0) {
    segment.take(1);
    std::uint32_t symbols = 0, short_codes = 0;
    for (int length = 1; length <= 16; ++length) {
      symbols += segment.u8();
      if (length <= 9) short_codes = symbols;
    }
    REPRISE_CHECK(symbols <= 256, "broken JPEG: a Huffman table of {} symbols, at most 256 exist", symbols);
    // In stb_image's table of codes up to 9 bits the 256th symbol has the mark of a longer code,
    // and would be read past the table's end.
    REPRISE_CHECK(short_codes <= 255, "broken JPEG: a Huffman table of {} symbols of at most 9 bits",
                  short_codes);
    segment.take(symbols);
  }
}

void check_markers(Bytes bytes) {
  constexpr std::uint32_t huffman_tables = 0xC4, end_of_image = 0xD9;
  HeaderReader in(bytes, "JPEG");
  in.take(2);
  for (;;) {
    std::uint32_t marker = in.u8();
    if (marker != 0xFF) continue;  // entropy-coded data, or padding between segments
    while (marker == 0xFF) marker = in.u8();
    if (marker == end_of_image) return;
    if (marker <= 1 || (marker >= 0xD0 && marker <= 0xD8)) continue;  // stuffing, restarts: no length
    const std::uint32_t length = in.u16_be();
    REPRISE_CHECK(length >= 2, "broken JPEG: a segment of {} bytes", length);
    const Bytes segment = in.take(length - 2);
    if (marker == huffman_tables) check_huffman_tables(HeaderReader(segment, "JPEG"));
  }
}

}  // namespace

Image read_jpeg(Bytes bytes, const ImageLimits& limits, bool header_only) {
  Image image;
  check_markers(bytes);  // before stb_size: the header holds Huffman tables too
  REPRISE_CHECK(stb_size(bytes, image.width, image.height),
                "the JPEG is broken or of a kind that this build, without libjpeg-turbo, does not read");
  check_size(ImageFormat::jpeg, image.width, image.height, limits);
  if (!header_only) image.rgb = stb_decode(bytes, ImageFormat::jpeg, image.width, image.height, 3);
  return image;
}

std::string jpeg_version() {
  return "";
}

}  // namespace reprise::data

#endif
