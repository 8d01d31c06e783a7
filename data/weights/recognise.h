// Says in messages what a file is that is no weight file. Internal to data/weights.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace reprise::data {

// Describes the content: "it looks like a PNG image", "it is empty", …
std::string describe_content(std::span<const std::byte> bytes);

// Escapes text of a file, so that it is safe to print: control bytes and bytes above 126 become
// \xNN. At most 80 characters.
std::string printable(std::string_view text);

}  // namespace reprise::data
