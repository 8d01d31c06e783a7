// Pooling, one run of outputs at a time.
#pragma once

#include "engine/kernels/cpu/base/isa.h"
#include "engine/kernels/cpu/leaf/window.h"

namespace reprise::kernels::cpu {

template <class T>
struct PoolLeaf {
  // The first largest of the taps, NaN above all, and its number: first_tap + r * tap_row + s * tap_column.
  void (*max_fwd)(const Window& z, std::int64_t first_tap, const T* in, T* out, std::uint8_t* tap);
  // out = the sum of `in` over the windows whose winning tap is this one. tap lies like `in`.
  void (*max_bwd)(const Window& z, std::int64_t first_tap, const T* in, const std::uint8_t* tap, T* out);
  // out[o] = sum over taps of in[o + tap] * factor(o + tap); factors lie like `in` with one channel, or,
  // where per_place is false, a single factor serves all.
  void (*weighted_sum)(const Window& z, const T* in, const float* factors, bool per_place, T* out);
};
REPRISE_LEAF_OF(PoolLeaf, pool_leaf)

}  // namespace reprise::kernels::cpu
