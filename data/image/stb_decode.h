// Decodes by stb_image within a budget of memory. Private to data/. Callers check a file's
// structure first, since stb_image trusts it.
#pragma once

#include "data/image/decoders.h"

namespace reprise::data {

// Returns how many bytes one decode may hold at a time.
std::int64_t stb_budget(std::int64_t width, std::int64_t height, std::size_t file_bytes);

// Returns 8-bit pixels (H,W,channels), channels 3 or 4. Throws Error with stb_image's reason.
std::vector<std::uint8_t> stb_decode(Bytes bytes, ImageFormat format, int width, int height, int channels);
// Returns the 16-bit pixels (H,W) of a 16-bit grey PNG. Throws Error with stb_image's reason.
std::vector<std::uint16_t> stb_decode_grey16(Bytes bytes, int width, int height);
// Reads the size from the header; false where stb_image does not know the file.
bool stb_size(Bytes bytes, int& width, int& height);
// Inflates a zlib stream. The result is empty where the stream is broken or larger than the budget
// of bytes.
std::vector<std::uint8_t> stb_inflate(Bytes bytes, std::int64_t budget);

// Inflates a raw deflate stream into `to`, which it must fill exactly; false where it does not or
// is broken.
bool stb_inflate_raw(Bytes bytes, std::span<std::byte> to);

std::string stb_version();

}  // namespace reprise::data
