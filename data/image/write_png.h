// Writes an image as a PNG file.
#pragma once

#include <string>

#include "data/image/image.h"

namespace reprise::data {

// Returns an 8-bit RGB PNG file, its pixels stored and not compressed. Throws Error for an empty
// image.
REPRISE_API std::vector<std::byte> encode_png(const Image& image);

// Writes that file to `path`, where it appears whole or not at all. Throws Error where it cannot be
// written.
REPRISE_API void write_png(const std::string& path, const Image& image);

}  // namespace reprise::data
