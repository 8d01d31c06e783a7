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
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(to.bits) : "f"(v));
#else
  std::uint32_t bits;
  memcpy(&bits, &v, sizeof bits);
  const std::uint32_t rounded = v == v ? bits + 0x7FFF + (bits >> 16 & 1) : 0x7FFF0000;
  to.bits = static_cast<std::uint16_t>(rounded >> 16);
#endif
}

// V neighbouring values, which a thread loads and stores 16 bytes at a time. of() rounds to T.
template <class T, int V>
struct alignas(V * sizeof(T) < 16 ? V * sizeof(T) : 16) Vector {
  T at[V];

  __device__ static Vector of(const float (&values)[V]) {
    Vector r;
    for (int v = 0; v < V; ++v) store(r.at[v], values[v]);
    return r;
  }
  __device__ float operator[](int v) const { return value_of(at[v]); }
};
// In words of two values: one operation widens a value, and one rounds two.
template <int V>
requires(V % 2 == 0) struct alignas(V < 8 ? V * 2 : 16) Vector<BFloat16, V> {
  std::uint32_t at[V / 2];

  __device__ static Vector of(const float (&values)[V]) {
    Vector r;
    for (int v = 0; v < V; v += 2) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
      asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r.at[v / 2]) : "f"(values[v + 1]), "f"(values[v]));
#else
      BFloat16 low, high;
      store(low, values[v]);
      store(high, values[v + 1]);
      r.at[v / 2] = low.bits | static_cast<std::uint32_t>(high.bits) << 16;
#endif
    }
    return r;
  }
  __device__ float operator[](int v) const {
    const std::uint32_t bits = v % 2 == 0 ? at[v / 2] << 16 : at[v / 2] & 0xFFFF0000u;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
  }
};
template <int V, class T>
__device__ Vector<T, V> load_vector(const T* from) {
  return *reinterpret_cast<const Vector<T, V>*>(from);
}
template <class T, int V>
__device__ void store_vector(T* to, const Vector<T, V>& values) {
  *reinterpret_cast<Vector<T, V>*>(to) = values;
}
// How many values of T fill 16 bytes.
template <class T>
inline constexpr int vector_of = 16 / static_cast<int>(sizeof(T));

// Returns whether rows of `channels` values may be read V at a time from every one of `images`.
template <int V, class... T>
bool fit_vectors(std::int64_t channels, const T*... images) {
  return channels % V == 0 &&
         ((reinterpret_cast<std::uintptr_t>(images) % alignof(Vector<T, V>) == 0) && ...);
}

}  // namespace reprise::kernels::cuda
