// Bytes to normalised floats: a byte has 256 values, so a table per channel holds every answer.
#include <array>

#include "engine/core/parallel.h"
#include "engine/kernels/cpu/instantiate.h"
#include "engine/kernels/cpu/leaf/elementwise.h"
#include "engine/kernels/kernels.h"

namespace reprise::kernels::cpu {

template <class T>
void normalize_images(const NormalizeArgs& a, View images, MutView y) {
  const std::int64_t channels = images.dim(3);
  if (channels == 0) return;
  std::array<std::array<T, 256>, 4> table;
  for (std::size_t c = 0; c < 4; ++c) {
    std::array<float, 256> exact;
    for (std::size_t u = 0; u < 256; ++u) exact[u] = (static_cast<float>(u) / 255 - a.mean[c]) / a.std[c];
    elementwise_leaf<T>().narrow(exact.data(), table[c].data(), 256);
  }
  parallel_for(y.numel() / channels, 1 << 14, [&](std::int64_t begin, std::int64_t end) {
    const std::uint8_t* from = images.data<std::uint8_t>() + begin * channels;
    T* to = y.data<T>() + begin * channels;
    for (std::int64_t pixel = begin; pixel < end; ++pixel)
      for (std::int64_t c = 0; c < channels; ++c) *to++ = table[static_cast<std::size_t>(c)][*from++];
  });
}

REPRISE_CPU_KERNEL(normalize_images);

}  // namespace reprise::kernels::cpu
