// Batch normalisation over x, y, dy and dx of `rows` rows by `channels` values. Every
// other operand has one f32 value per channel. Sums start from 0.
#pragma once

#include <cstdint>

#include "engine/kernels/cpu/base/isa.h"

namespace reprise::kernels::cpu {

template <class T>
struct BatchNormLeaf {
  // d = x - center:  sum = sum d,  squares = sum d^2
  void (*moments)(const T* x, const float* center, float* sum, float* squares, std::int64_t rows,
                  std::int64_t channels);
  // y = (x - mean) * scale + shift
  void (*normalize)(const T* x, const float* mean, const float* scale, const float* shift, T* y,
                    std::int64_t rows, std::int64_t channels);
  // sum = sum dy,  products = sum dy * (x - mean)
  void (*grad_sums)(const T* x, const T* dy, const float* mean, float* sum, float* products,
                    std::int64_t rows, std::int64_t channels);
  // dx = scale * ((dy - grad_mean) - (x - mean) * slope)
  void (*grad_input)(const T* x, const T* dy, const float* mean, const float* grad_mean, const float* slope,
                     const float* scale, T* dx, std::int64_t rows, std::int64_t channels);
};
REPRISE_LEAF_OF(BatchNormLeaf, batch_norm_leaf)

}  // namespace reprise::kernels::cpu
