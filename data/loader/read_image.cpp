#include "data/loader/read_image.h"

#include "data/io/file.h"
#include "engine/base/error.h"

namespace reprise::data {

std::vector<std::byte> read_image_bytes(const std::string& path) {
  try {
    return read_file(path, static_cast<std::uint64_t>(ImageLimits{}.max_file_bytes));
  } catch (const Error& error) {
    const std::string text = error.what();
    throw Error(text.starts_with(path + ": ") ? text.substr(path.size() + 2) : text);
  }
}

Image read_image(const std::string& path, Grey16 grey16) {
  return decode_image(read_image_bytes(path), {}, grey16);
}

}  // namespace reprise::data
