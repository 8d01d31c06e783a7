// Pooling, one run of outputs at a time. z is the run's window (window.h).
#pragma once

#include "engine/kernels/cpu/base/isa.h"
#include "engine/kernels/cpu/leaf/window.h"

namespace reprise::kernels::cpu {

template <class T>
struct PoolLeaf {
  // Writes each window's first largest value (NaN counts as largest), and the number of its tap:
  //   first_tap + r * tap_row + s * tap_column
  void (*max_fwd)(const Window& z, std::int64_t first_tap, const T* in, T* out, std::uint8_t* tap);
  // out = the sum of the gradients `in` of the windows that this input won. `tap`, the
  // number of each window's winning tap, has the layout of `in`.
  void (*max_bwd)(const Window& z, std::int64_t first_tap, const T* in, const std::uint8_t* tap, T* out);
  // out[o] = sum over taps of in[o + tap] * factor. If per_place, `factors` has one for
  // each pixel of `in`; else there is a single one.
  void (*weighted_sum)(const Window& z, const T* in, const float* factors, bool per_place, T* out);
};
REPRISE_LEAF_OF(PoolLeaf, pool_leaf)

}  // namespace reprise::kernels::cpu
