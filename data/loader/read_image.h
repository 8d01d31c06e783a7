// Reads an image file. Private to data/loader.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "data/image/image.h"

namespace reprise::data {

// Return the file's bytes, and its pixels; check_header reads no more than it needs to find the
// format and the size. The message of their Error is the reason without the path, for lists that
// name the path.
std::vector<std::byte> read_image_bytes(const std::string& path);
void check_header(const std::string& path);
Image read_image(const std::string& path, Grey16 grey16 = Grey16::scale);

}  // namespace reprise::data
