// Small pictures of images, inside the page.
#pragma once

#include <string>

namespace reprise::clr {

// "data:image/png;base64,…" of the image file at size x size pixels; empty where it cannot be read.
std::string thumbnail(const std::string& path, int size);
std::string base64(const std::string& bytes);

}  // namespace reprise::clr
