// stb_image within a budget of memory. Private to data/. Callers check a file's structure first.
#pragma once

#include "data/image/decoders.h"

namespace reprise::data {

// What one decode may allocate in all its live blocks together.
std::int64_t stb_budget(std::int64_t width, std::int64_t height, std::size_t file_bytes);

// (H,W,channels), 8 bits, channels 3 or 4. Throws Error with stb_image's reason.
std::vector<std::uint8_t> stb_decode(Bytes bytes, ImageFormat format, int width, int height, int channels);
// (H,W), 16 bits, of a 16-bit grey PNG.
std::vector<std::uint16_t> stb_decode_grey16(Bytes bytes, int width, int height);
// The size that stb_image reads from the header.
bool stb_size(Bytes bytes, int& width, int& height);
// Inflates a zlib stream; empty where it is broken.
std::vector<std::uint8_t> stb_inflate(Bytes bytes, std::int64_t budget);

// Inflates a raw deflate stream into `to`, which it must fill exactly; false where it does not or
// is broken.
bool stb_inflate_raw(Bytes bytes, std::span<std::byte> to);

std::string stb_version();

}  // namespace reprise::data
