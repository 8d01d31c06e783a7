// What a file is by its first bytes, whatever its name says.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "engine/base/export.h"

namespace reprise::data {

// Why the file is no image: it cannot be opened, is a pipe, empty, a Git LFS pointer, of an unknown format.
// Empty where it is one (its pixels may still be broken: decoding tells). Never waits, never throws Error.
REPRISE_API std::string why_no_image(const std::string& path);
// The same for a file that starts with these bytes.
REPRISE_API std::string why_no_image(std::span<const std::byte> head);

}  // namespace reprise::data
