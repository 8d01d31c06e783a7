// What a file that is no weight file looks like, for the message. Internal to data/weights.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace reprise::data {

// "it looks like a PNG image", "it is empty", …
std::string describe_content(std::span<const std::byte> bytes);

// Text from a file, safe to print: control bytes and bytes above 126 as \xNN, at most 80 characters.
std::string printable(std::string_view text);

}  // namespace reprise::data
