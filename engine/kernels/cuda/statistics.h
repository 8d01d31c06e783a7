// Batch norm of one value, forward and backward. Plain and fused kernels share it, and so its bits.
#pragma once

#include <cuda_runtime.h>

namespace reprise::kernels::cuda {

__device__ inline float normalized(float x, float mean, float var, float gamma, float beta, float eps) {
  return (x - mean) * (gamma / sqrtf(var + eps)) + beta;
}
// dx of one value, if the statistics depend on x; `count` is the number of values per channel.
__device__ inline float input_gradient(float x, float dy, float mean, float var, float gamma, float dgamma,
                                       float dbeta, float count, float eps) {
  const float invstd = 1 / sqrtf(var + eps);
  const float xhat = (x - mean) * invstd;
  return gamma * invstd * (dy - dbeta / count - xhat * (dgamma / count));
}

}  // namespace reprise::kernels::cuda
