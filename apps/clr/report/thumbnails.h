// Small versions of images, as data addresses inside the page.
#pragma once

#include <string>

namespace reprise::clr {

// Returns the image file at size x size pixels as
// "data:image/png;base64,…"; empty if it cannot be read.
std::string thumbnail(const std::string& path, int size);
std::string base64(const std::string& bytes);

}  // namespace reprise::clr
