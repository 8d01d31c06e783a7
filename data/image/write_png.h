// Writes an image as a PNG file.
#pragma once

#include <string>

#include "data/image/image.h"

namespace reprise::data {

// The bytes of an 8-bit RGB PNG, its pixels stored and not compressed.
REPRISE_API std::vector<std::byte> encode_png(const Image& image);

// Writes them to `path`, which appears whole or not at all. Throws Error where the file cannot be written.
REPRISE_API void write_png(const std::string& path, const Image& image);

}  // namespace reprise::data
