// An image file's bytes and pixels. Private to data/loader.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "data/image/image.h"

namespace reprise::data {

// The Error of both is the reason alone, for lists that name the path themselves.
std::vector<std::byte> read_image_bytes(const std::string& path);
Image read_image(const std::string& path, Grey16 grey16 = Grey16::scale);

}  // namespace reprise::data
