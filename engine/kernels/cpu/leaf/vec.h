// One vector of floats, as wide as the instruction set of this compilation. For files in leaf/ alone:
// everything is static, so that no inline code compiled for a newer instruction set can be picked by the
// linker for an older one.
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define REPRISE_INLINE static inline __attribute__((always_inline, unused))

namespace reprise::kernels::cpu::REPRISE_ISA {

#if defined(__AVX512F__)
static constexpr int lanes = 16;
#elif defined(__AVX2__)
static constexpr int lanes = 8;
#else
static constexpr int lanes = 4;
#endif

typedef float Vec __attribute__((vector_size(lanes * 4)));
typedef std::int32_t VecInt __attribute__((vector_size(lanes * 4)));

REPRISE_INLINE Vec load(const float* p) {
  Vec v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
REPRISE_INLINE void store(float* p, Vec v) {
  __builtin_memcpy(p, &v, sizeof v);
}
REPRISE_INLINE Vec broadcast(float x) {
  return x - Vec{};
}  // x - 0 keeps the sign of zero

// The first n lanes (0 <= n <= lanes); the others are 0 when loaded and untouched when stored.
REPRISE_INLINE Vec load_first(const float* p, std::int64_t n) {
#if defined(__AVX512F__)
  return (Vec)_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), p);
#else
  Vec v{};
  for (int i = 0; i < n; ++i) v[i] = p[i];
  return v;
#endif
}
REPRISE_INLINE void store_first(float* p, Vec v, std::int64_t n) {
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), (__m512)v);
#else
  for (int i = 0; i < n; ++i) p[i] = v[i];
#endif
}

// a * b + c: one rounding where the instruction set has FMA, two in the portable build.
REPRISE_INLINE Vec fma(Vec a, Vec b, Vec c) {
#if defined(__AVX512F__)
  return (Vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX2__)
  return (Vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
  return a * b + c;
#endif
}

// Lane by lane: where `mask` is all ones a, else b. Comparisons of Vecs give such masks.
REPRISE_INLINE Vec select(VecInt mask, Vec a, Vec b) {
  return mask ? a : b;
}

}  // namespace reprise::kernels::cpu::REPRISE_ISA
