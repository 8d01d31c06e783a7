// y[n,h,w,c] = (images[rows[n],h,w,c] / 255 - mean[c]) / std[c]; if rows are absent, rows[n] = n
#include "engine/kernels/ref/loops.h"

namespace reprise::kernels::ref {

template <class T>
void normalize_images(const NormalizeArgs& a, View images, View rows, MutView y) {
  const std::int64_t channels = images.dim(3), image = images.dim(1) * images.dim(2) * channels;
  each_output(y.numel(), 4, [&](std::int64_t i) {
    const auto c = static_cast<std::size_t>(i % channels);
    const std::int64_t from = rows ? rows.data<std::int64_t>()[i / image] * image + i % image : i;
    const T u = static_cast<T>(images.data<std::uint8_t>()[from]);
    y.data<T>()[i] = (u / 255 - static_cast<T>(a.mean[c])) / static_cast<T>(a.std[c]);
  });
}

REPRISE_REF_KERNEL(normalize_images);

}  // namespace reprise::kernels::ref
