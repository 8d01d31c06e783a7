// Normalises bytes to floats. A byte has 256 values, so a table per channel holds every result.
#include <algorithm>
#include <array>

#include "engine/base/parallel.h"
#include "engine/kernels/cpu/base/instantiate.h"
#include "engine/kernels/cpu/leaf/elementwise.h"
#include "engine/kernels/kernels.h"

namespace reprise::kernels::cpu {

template <class T>
void normalize_images(const NormalizeArgs& a, View images, View rows, MutView y) {
  const std::int64_t channels = images.dim(3);
  if (channels == 0) return;
  std::array<std::array<T, 256>, 4> table;
  for (std::size_t c = 0; c < 4; ++c) {
    std::array<float, 256> exact;
    for (std::size_t u = 0; u < 256; ++u) exact[u] = (static_cast<float>(u) / 255 - a.mean[c]) / a.std[c];
    elementwise_leaf<T>().narrow(exact.data(), table[c].data(), 256);
  }
  const std::int64_t image = images.dim(1) * images.dim(2);  // pixels
  parallel_for(y.numel() / channels, 1 << 14, [&](std::int64_t begin, std::int64_t end) {
    T* to = y.data<T>() + begin * channels;
    for (std::int64_t pixel = begin, stop; pixel < end; pixel = stop) {
      const std::int64_t n = pixel / image;
      stop = std::min(end, (n + 1) * image);
      const std::int64_t first = (rows ? rows.data<std::int64_t>()[n] : n) * image + pixel % image;
      const std::uint8_t* from = images.data<std::uint8_t>() + first * channels;
      for (std::int64_t p = pixel; p < stop; ++p)
        for (std::int64_t c = 0; c < channels; ++c) *to++ = table[static_cast<std::size_t>(c)][*from++];
    }
  });
}

REPRISE_CPU_KERNEL(normalize_images);

}  // namespace reprise::kernels::cpu
