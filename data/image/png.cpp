// Reads PNG. The chunks are walked and checked here, and stb_image decodes a clean file of the four
// chunks that make pixels. It never meets what it misreads: a palette shorter than its indices,
// transparency, odd chunks, wrong checksums.
//
// As in Pillow's convert("RGB"), palettes are looked up (black past their end), grey is repeated,
// alpha and tRNS are dropped, 16-bit colour keeps its high byte. Plain 16-bit grey is scaled, v /
// 257.
#include <algorithm>
#include <array>

#include "data/image/checksums.h"
#include "data/image/decoders.h"
#include "data/image/stb_decode.h"
#include "engine/base/check.h"

namespace reprise::data {
namespace {

constexpr std::size_t signature_size = 8;
constexpr std::uint32_t tag(const char (&name)[5]) {
  return std::uint32_t(std::uint8_t(name[0])) << 24 | std::uint32_t(std::uint8_t(name[1])) << 16 |
         std::uint32_t(std::uint8_t(name[2])) << 8 | std::uint8_t(name[3]);
}

struct Chunk {
  std::uint32_t type;
  Bytes type_and_data;  // what the checksum covers
  Bytes data;
  bool intact;
};

struct Png {
  int width = 0, height = 0, depth = 0, color = 0;
  Bytes header, palette;
  std::vector<Bytes> pixel_data;  // IDAT chunks
  bool pixel_data_intact = true;
};

std::string name_of(std::uint32_t type) {
  std::string name;
  for (int shift = 24; shift >= 0; shift -= 8) name += static_cast<char>(type >> shift & 0xFF);
  return name;
}

Chunk next_chunk(HeaderReader& in) {
  const std::uint32_t length = in.u32_be();
  HeaderReader from_type = in;
  const std::uint32_t type = in.u32_be();
  for (int shift = 0; shift < 32; shift += 8) {
    const char c = static_cast<char>(type >> shift & 0xDF);
    REPRISE_CHECK(c >= 'A' && c <= 'Z', "broken PNG: a chunk without a name at byte {}", in.position() - 4);
  }
  const Bytes data = in.take(length);
  const Bytes covered = from_type.take(std::size_t{4} + length);
  return {type, covered, data, in.u32_be() == crc32(covered)};
}

void check_header(Png& png, Bytes data, const ImageLimits& limits) {
  REPRISE_CHECK(data.size() == 13, "broken PNG: an IHDR of {} bytes, expected 13", data.size());
  HeaderReader in(data, "PNG");
  const std::uint32_t width = in.u32_be(), height = in.u32_be();
  check_size(ImageFormat::png, width, height, limits);
  png.width = static_cast<int>(width);
  png.height = static_cast<int>(height);
  png.depth = static_cast<int>(in.u8());
  png.color = static_cast<int>(in.u8());
  const std::uint32_t compression = in.u8(), filter = in.u8(), interlace = in.u8();
  const std::array<std::string_view, 7> depths = {"\1\2\4\10\20", "", "\10\20", "\1\2\4\10",
                                                  "\10\20",       "", "\10\20"};
  REPRISE_CHECK(
      png.color <= 6 && depths[png.color].find(static_cast<char>(png.depth)) != std::string_view::npos,
      "broken PNG: colour type {} with {} bits", png.color, png.depth);
  REPRISE_CHECK(compression == 0 && filter == 0 && interlace <= 1,
                "broken PNG: compression {}, filter {}, interlace {}", compression, filter, interlace);
  png.header = data;
}

Png parse(Bytes bytes, const ImageLimits& limits, bool header_only) {
  HeaderReader in(bytes, "PNG");
  in.take(signature_size);
  Png png;
  while (in.left() > 0 || png.pixel_data.empty()) {
    // As in Pillow, chunks after the pixels are not looked at, and the checksum of a pixel chunk
    // does not decide: check_stream does.
    if (!png.pixel_data.empty() && in.left() < 12) break;
    const Chunk chunk = next_chunk(in);
    const bool pixels = chunk.type == tag("IDAT");
    if (!pixels && !png.pixel_data.empty()) break;
    REPRISE_CHECK(pixels || chunk.intact, "broken PNG: the checksum of chunk {} is wrong",
                  name_of(chunk.type));
    if (png.header.empty()) {
      REPRISE_CHECK(chunk.type == tag("IHDR"), "broken PNG: chunk {} before IHDR", name_of(chunk.type));
      check_header(png, chunk.data, limits);
      if (header_only) return png;
    } else if (chunk.type == tag("PLTE")) {
      REPRISE_CHECK(chunk.data.size() % 3 == 0 && chunk.data.size() <= 768,
                    "broken PNG: a palette of {} bytes", chunk.data.size());
      png.palette = chunk.data;
    } else if (pixels) {
      png.pixel_data.push_back(chunk.data);
      png.pixel_data_intact &= chunk.intact;
    }
    REPRISE_CHECK(chunk.type != tag("IEND"), "broken PNG: it ends without an IDAT chunk");
  }
  REPRISE_CHECK(png.color != 3 || !png.palette.empty(), "broken PNG: a palette image without a palette");
  return png;
}

void append(std::vector<std::byte>& out, std::uint32_t v) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<std::byte>(v >> shift & 0xFF));
}

void append_chunk(std::vector<std::byte>& out, std::uint32_t type, Bytes data, std::size_t padded_size = 0) {
  append(out, static_cast<std::uint32_t>(std::max(data.size(), padded_size)));
  append(out, type);
  out.insert(out.end(), data.begin(), data.end());
  if (padded_size > data.size()) out.resize(out.size() + padded_size - data.size());
  append(out, 0);  // stb_image reads no checksums
}

// Makes a file of IHDR, PLTE (filled up with black to 256 colours), one IDAT and IEND.
std::vector<std::byte> clean_file(const Png& png, Bytes original, Bytes stream) {
  std::vector<std::byte> out(original.begin(), original.begin() + signature_size);
  out.reserve(stream.size() + 900);
  append_chunk(out, tag("IHDR"), png.header);
  if (png.color == 3) append_chunk(out, tag("PLTE"), png.palette, 768);
  append_chunk(out, tag("IDAT"), stream);
  append_chunk(out, tag("IEND"), {});
  return out;
}

// Throws Error where the zlib stream's own checksum does not fit the pixels. Called where a chunk's
// is wrong.
void check_stream(const Png& png, Bytes stream) {
  const auto raw = stb_inflate(stream, stb_budget(png.width, png.height, stream.size()));
  REPRISE_CHECK(!raw.empty() && stream.size() >= 4, "broken PNG: its compressed pixels are damaged");
  HeaderReader tail(stream.last(4), "PNG");
  REPRISE_CHECK(tail.u32_be() == adler32(raw), "broken PNG: its compressed pixels are damaged");
}

}  // namespace

Image read_png(Bytes bytes, const ImageLimits& limits, bool header_only, Grey16 grey16) {
  const Png png = parse(bytes, limits, header_only);
  Image image{png.width, png.height, {}};
  if (header_only) return image;
  std::vector<std::byte> stream;
  for (const Bytes part : png.pixel_data) stream.insert(stream.end(), part.begin(), part.end());
  REPRISE_CHECK(!stream.empty(), "broken PNG: its IDAT chunks are empty");
  if (!png.pixel_data_intact) check_stream(png, stream);
  const std::vector<std::byte> clean = clean_file(png, bytes, stream);
  if (png.color != 0 || png.depth != 16) {
    image.rgb = stb_decode(clean, ImageFormat::png, png.width, png.height, 3);
    return image;
  }
  const auto grey = stb_decode_grey16(clean, png.width, png.height);
  image.rgb.assign(3 * grey.size(), 0);
  for (std::size_t i = 0; i < grey.size(); ++i)
    std::fill_n(image.rgb.data() + 3 * i, 3,
                grey16 == Grey16::scale ? scale_to_8_bits(grey[i], 65535)
                                        : static_cast<std::uint8_t>(std::min<int>(grey[i], 255)));
  return image;
}

}  // namespace reprise::data
