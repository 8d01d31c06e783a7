#include "apps/clr/report/thumbnails.h"

#include <cstdint>

#include "data/image/image.h"
#include "data/image/resize.h"
#include "data/image/write_png.h"
#include "data/io/file.h"
#include "engine/base/error.h"

namespace reprise::clr {

std::string base64(const std::string& bytes) {
  static constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k)
      group = group << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0);
    for (std::size_t k = 0; k < 4; ++k)
      text += i + k <= bytes.size() ? digits[group >> (18 - 6 * k) & 63] : '=';
  }
  return text;
}

std::string thumbnail(const std::string& path, int size) {
  try {
    const data::Image image = data::resize_bilinear(data::decode_image(data::read_file(path)), size, size);
    const auto png = data::encode_png(image);
    return "data:image/png;base64," + base64({reinterpret_cast<const char*>(png.data()), png.size()});
  } catch (const Error&) {
    return "";
  }
}

}  // namespace reprise::clr
