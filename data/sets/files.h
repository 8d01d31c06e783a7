// Whether a file is an image, by its first bytes and not by its name.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "engine/base/export.h"

namespace reprise::data {

// Returns why the file is no image: it cannot be opened, is a pipe, is empty, is a Git LFS pointer,
// has an unknown format. Returns nothing where it is one; only decoding tells whether its pixels
// are whole. Never waits and never throws Error.
REPRISE_API std::string why_no_image(const std::string& path);
// The same for a file that starts with these bytes.
REPRISE_API std::string why_no_image(std::span<const std::byte> head);

}  // namespace reprise::data
