// Statistics of task groups and channels, as a kernel takes them.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "engine/core/shape.h"

namespace reprise::kernels::cuda {

// x as (groups, count, channels): `count` values for each row of the (T,C) statistics.
struct Groups {
  std::int64_t channels, groups, count;
  Groups(const Shape& x, const Shape& statistics)
      : channels(x[-1]),
        groups(channels == 0 ? 0 : statistics.numel() / channels),
        count(statistics.numel() == 0 ? 0 : x.numel() / statistics.numel()) {}
  // Where the statistics of channel c of that row of x lie.
  __host__ __device__ std::int64_t of(std::int64_t row, std::int64_t c) const {
    return groups == 1 ? c : row / count * channels + c;
  }
};

// Batch norm of one value, forward and backward; plain and fused kernels share them, and so their bits.
__device__ inline float normalized(float x, float mean, float var, float gamma, float beta, float eps) {
  return (x - mean) * (gamma / sqrtf(var + eps)) + beta;
}
__device__ inline float input_gradient(float x, float dy, float mean, float var, float gamma, float dgamma,
                                       float dbeta, float count, float eps) {
  const float invstd = 1 / sqrtf(var + eps);
  const float xhat = (x - mean) * invstd;
  return gamma * invstd * (dy - dbeta / count - xhat * (dgamma / count));
}

}  // namespace reprise::kernels::cuda
