#include "data/loader/read_image.h"

#include <fstream>

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

void check_header(const std::string& path) {
  std::vector<std::byte> head(std::size_t{1} << 16);
  std::ifstream in(path, std::ios::binary);
  in.read(reinterpret_cast<char*>(head.data()), static_cast<std::streamsize>(head.size()));
  try {
    probe_image({head.data(), static_cast<std::size_t>(in.gcount())});
  } catch (const Error&) {  // what lies before the size may be longer, and a reader says best what is wrong
    probe_image(read_image_bytes(path));
  }
}

Image read_image(const std::string& path, Grey16 grey16) {
  return decode_image(read_image_bytes(path), {}, grey16);
}

}  // namespace reprise::data
