#include "apps/clr/audit/folder.h"

#include <algorithm>

#include "data/image/image.h"
#include "data/image/resize.h"
#include "data/io/file.h"
#include "data/sets/find_tasks.h"
#include "data/sets/walk.h"
#include "engine/base/check.h"

namespace reprise::clr {

Tensor read_folder(const std::string& folder, int count, int size, std::vector<std::string>& paths) {
  const data::ClassFiles files = data::Walker(data::SetOptions{}.max_files).walk(folder);
  REPRISE_CHECK(!files.images.empty(), "--images {}: no image lies in this folder", folder);
  data::check_all_readable(files.unreadable);
  const auto found = static_cast<std::int64_t>(files.images.size()),
             n = count == 0 ? found : std::min<std::int64_t>(count, found);
  Tensor images = empty({n, size, size, 3}, DType::u8);
  for (std::int64_t i = 0; i < n; ++i) {
    paths.push_back(folder + "/" + files.images[static_cast<std::size_t>(i * found / n)]);
    const ErrorScope scope("image", paths.back());
    const data::Image image =
        data::resize_bilinear(data::decode_image(data::read_file(paths.back())), size, size);
    std::copy(image.rgb.begin(), image.rgb.end(), images.mutable_data<std::uint8_t>() + i * size * size * 3);
  }
  return images;
}

}  // namespace reprise::clr
