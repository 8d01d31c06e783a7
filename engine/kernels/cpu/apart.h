// Pixels copied to scratch memory, where they lie a cache line further apart. Those that lie a multiple of
// 512 bytes apart meet in few sets of the first cache (addresses 4 KiB apart share one), where the window of
// a 3x3 filter alone needs up to 30 lines.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "engine/core/view.h"

namespace reprise::kernels::cpu {

struct Apart {
  std::int64_t channels;
  std::int64_t pixel;  // elements from one pixel to the next: `channels` where nothing is to be copied

  // Where pixels lie a multiple of so many bytes apart.
  template <class T>
  static Apart where(std::int64_t bytes, std::int64_t channels) {
    constexpr std::int64_t size = sizeof(T), line = 64 / size;
    return {channels, channels > 0 && channels * size % bytes == 0 ? channels + line : channels};
  }

  bool is_needed() const { return pixel != channels; }
  Shape shape(const Shape& images) const { return images.with(3, pixel); }

  template <class T>
  void copy(const T* from, T* to, std::int64_t pixels) const {
    for (std::int64_t j = 0; j < pixels; ++j) std::copy_n(from + j * channels, channels, to + j * pixel);
  }
  // A filter (T,R,S,C).
  std::vector<float> copy_of(View w) const {
    const std::int64_t taps = w.dim(0) * w.dim(1) * w.dim(2);
    std::vector<float> apart(static_cast<std::size_t>(taps * pixel));
    copy(w.data<float>(), apart.data(), taps);
    return apart;
  }
};

}  // namespace reprise::kernels::cpu
