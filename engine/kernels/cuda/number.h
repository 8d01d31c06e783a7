// Conversion between float and bf16. Kernels compute in float (or double):
// they widen bf16 on loading and round once, to nearest even, on storing.
// Depthwise filters, statistics and parameters are always float.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <cstring>

#include "engine/core/dtype.h"

namespace reprise::kernels::cuda {

__host__ __device__ inline float value_of(float v) {
  return v;
}
__host__ __device__ inline float value_of(BFloat16 v) {
  const std::uint32_t bits = static_cast<std::uint32_t>(v.bits) << 16;
  float f;
  memcpy(&f, &bits, sizeof f);
  return f;
}

__host__ __device__ inline void store(float& to, float v) {
  to = v;
}
__host__ __device__ inline void store(BFloat16& to, float v) {
  std::uint32_t bits;
  memcpy(&bits, &v, sizeof bits);
  const std::uint32_t rounded = v == v ? bits + 0x7FFF + (bits >> 16 & 1) : bits | 0x400000;
  to.bits = static_cast<std::uint16_t>(rounded >> 16);
}

}  // namespace reprise::kernels::cuda
