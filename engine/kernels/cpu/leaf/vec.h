// A vector of floats, as wide as the instruction set of this compilation. Only for files in leaf/:
// everything is static, so the linker cannot pick code compiled for a newer instruction set.
#pragma once

#include <cstdint>
#include <type_traits>

#include "engine/core/dtype.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

// Defines a leaf's tables, one for each storage type, from functions that are templates
// over it. avx512bf16 has only the table for bf16.
#if defined(__AVX512BF16__)
#define REPRISE_LEAF_TABLES(Table, name, ...) \
  extern const Table<BFloat16> name##_bf16;   \
  const Table<BFloat16> name##_bf16 {         \
    __VA_ARGS__                               \
  }
#else
#define REPRISE_LEAF_TABLES(Table, name, ...) \
  extern const Table<float> name##_f32;       \
  const Table<float> name##_f32{__VA_ARGS__}; \
  extern const Table<BFloat16> name##_bf16;   \
  const Table<BFloat16> name##_bf16 {         \
    __VA_ARGS__                               \
  }
#endif

// nothrow: without optimisation GCC compiles members of classes too late to see this itself.
#define REPRISE_INLINE static inline __attribute__((always_inline, unused, nothrow))

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

// Prefetches for a loop over the vectors of `rows` neighbouring rows, now at channel c: a step's
// worth of memory, in order, 8 KiB ahead. The hardware does not foresee this pattern.
template <int rows, class T>
REPRISE_INLINE void prefetch_rows(const T* first_row, std::int64_t c) {
  constexpr int ahead = 8192, line = 64, step = rows * lanes * static_cast<int>(sizeof(T));
  const char* p = reinterpret_cast<const char*>(first_row + rows * c) + ahead;
  for (int i = 0; i < step; i += line) __builtin_prefetch(p + i, 0, 3);
}

// Prefetches for a loop that writes memory in order and is at p. The hardware foresees
// reads, but waits for lines that are only written.
template <class T>
REPRISE_INLINE void prefetch_output(const T* p) {
  __builtin_prefetch(reinterpret_cast<const char*>(p) + 8192, 1, 2);
}

// Load and store the first n lanes (0 <= n <= lanes); loads set the others to 0.
#if defined(__AVX2__) && !defined(__AVX512F__)
static const std::int32_t first_mask[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
#endif
REPRISE_INLINE Vec load_first(const float* p, std::int64_t n) {
#if defined(__AVX512F__)
  return (Vec)_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), p);
#elif defined(__AVX2__)
  __m256i mask;
  __builtin_memcpy(&mask, first_mask + 8 - n, sizeof mask);
  return (Vec)_mm256_maskload_ps(p, mask);
#else
  Vec v{};
  for (int i = 0; i < n; ++i) v[i] = p[i];
  return v;
#endif
}
REPRISE_INLINE void store_first(float* p, Vec v, std::int64_t n) {
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), (__m512)v);
#elif defined(__AVX2__)
  __m256i mask;
  __builtin_memcpy(&mask, first_mask + 8 - n, sizeof mask);
  _mm256_maskstore_ps(p, mask, (__m256)v);
#else
  for (int i = 0; i < n; ++i) p[i] = v[i];
#endif
}

// bf16 is widened when loaded, and rounded to nearest (ties to even) when stored. NaN stays NaN.
typedef std::uint32_t VecBits __attribute__((vector_size(lanes * 4)));
typedef std::uint16_t VecHalves __attribute__((vector_size(lanes * 2)));
REPRISE_INLINE Vec widen(VecHalves halves) {
#if defined(__AVX512VBMI__)
  // Bytes 2i and 2i + 1 go to the upper half of lane i: one instruction, on the
  // multiply-adds' port.
  typedef std::uint8_t Bytes __attribute__((vector_size(64)));
  const Bytes from = {0,  0,  0,  1,  0,  0,  2,  3,  0,  0,  4,  5,  0,  0,  6,  7,  0,  0,  8,  9, 0,  0,
                      10, 11, 0,  0,  12, 13, 0,  0,  14, 15, 0,  0,  16, 17, 0,  0,  18, 19, 0,  0, 20, 21,
                      0,  0,  22, 23, 0,  0,  24, 25, 0,  0,  26, 27, 0,  0,  28, 29, 0,  0,  30, 31};
  return (Vec)_mm512_maskz_permutexvar_epi8(0xccccccccccccccccull, (__m512i)from,
                                            _mm512_castsi256_si512((__m256i)halves));
#elif defined(__AVX512F__)
  return (Vec)_mm512_maskz_slli_epi32(0xffff, _mm512_maskz_cvtepu16_epi32(0xffff, (__m256i)halves), 16);
#elif defined(__AVX2__)
  return (Vec)_mm256_slli_epi32(_mm256_cvtepu16_epi32((__m128i)halves), 16);
#else
  return (Vec)(__builtin_convertvector(halves, VecBits) << 16);
#endif
}
REPRISE_INLINE VecHalves narrow(Vec v) {
#if defined(__AVX512BF16__)
  return (VecHalves)_mm512_cvtneps_pbh((__m512)v);
#else
  const VecBits bits = (VecBits)v, odd = bits >> 16 & 1, rounded = (bits + (odd + 0x7fff)) >> 16;
  const VecBits chosen = v == v ? rounded : (bits >> 16 | 0x40);
#if defined(__AVX512F__)
  return (VecHalves)_mm512_maskz_cvtepi32_epi16(0xffff, (__m512i)chosen);
#elif defined(__AVX2__)
  const __m256i packed = _mm256_packus_epi32((__m256i)chosen, (__m256i)chosen);
  return (VecHalves)_mm256_castsi256_si128(_mm256_permute4x64_epi64(packed, 0x08));
#else
  return __builtin_convertvector(chosen, VecHalves);
#endif
#endif
}
REPRISE_INLINE Vec load(const BFloat16* p) {
  VecHalves h;
  __builtin_memcpy(&h, p, sizeof h);
  return widen(h);
}
REPRISE_INLINE void store(BFloat16* p, Vec v) {
  const VecHalves h = narrow(v);
  __builtin_memcpy(p, &h, sizeof h);
}
REPRISE_INLINE Vec load_first(const BFloat16* p, std::int64_t n) {
#if defined(__AVX512F__)
  return widen((VecHalves)_mm256_maskz_loadu_epi16(static_cast<__mmask16>((1u << n) - 1), p));
#else
  VecHalves h{};
  for (int i = 0; i < n; ++i) h[i] = p[i].bits;
  return widen(h);
#endif
}
REPRISE_INLINE void store_first(BFloat16* p, Vec v, std::int64_t n) {
#if defined(__AVX512F__)
  _mm256_mask_storeu_epi16(p, static_cast<__mmask16>((1u << n) - 1), (__m256i)narrow(v));
#else
  const VecHalves h = narrow(v);
  for (int i = 0; i < n; ++i) p[i].bits = h[i];
#endif
}

// Returns what a load would return after a store as T.
template <class T>
REPRISE_INLINE Vec as_stored(Vec v) {
  if constexpr (sizeof(T) == sizeof(float)) return v;
  return widen(narrow(v));
}

// Non-temporal stores (../base/non_temporal.h), if the machine has them; p is aligned to a Vec.
REPRISE_INLINE void store_non_temporal(float* p, Vec v) {
#if defined(__AVX512F__)
  _mm512_stream_ps(p, (__m512)v);
#elif defined(__AVX2__)
  _mm256_stream_ps(p, (__m256)v);
#else
  store(p, v);
#endif
}
REPRISE_INLINE void store_non_temporal(BFloat16* p, Vec v) {
#if defined(__AVX512F__)
  _mm256_stream_si256(reinterpret_cast<__m256i*>(p), (__m256i)narrow(v));
#elif defined(__AVX2__)
  _mm_stream_si128(reinterpret_cast<__m128i*>(p), (__m128i)narrow(v));
#else
  store(p, v);
#endif
}

// Returns a * b + c, rounded once where the instruction set has FMA, twice in the portable build.
REPRISE_INLINE Vec fma(Vec a, Vec b, Vec c) {
#if defined(__AVX512F__)
  return (Vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX2__)
  return (Vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
  return a * b + c;
#endif
}

// Returns, lane by lane, a where `mask` is all ones, else b. Comparisons of Vecs give such masks.
REPRISE_INLINE Vec select(VecInt mask, Vec a, Vec b) {
  return mask ? a : b;
}

// The lanes that a step covers: all, or the first n at the end of a row. One loop body serves both.
struct All {};
struct First {
  std::int64_t n;
};
template <class T>
REPRISE_INLINE Vec load(const T* p, All) {
  return load(p);
}
template <class T>
REPRISE_INLINE Vec load(const T* p, First part) {
  return load_first(p, part.n);
}
template <class T>
REPRISE_INLINE void store(T* p, Vec v, All) {
  store(p, v);
}
template <class T>
REPRISE_INLINE void store(T* p, Vec v, First part) {
  store_first(p, v, part.n);
}

// Stores v, with a non-temporal store if `bypass` and the vector is whole.
template <bool bypass, class T, class Part>
REPRISE_INLINE void store_maybe_non_temporal(T* p, Vec v, Part part) {
  if constexpr (bypass && std::is_same_v<Part, All>)
    store_non_temporal(p, v);
  else
    store(p, v, part);
}

// Returns batch norm with given statistics of x, which is channels from c on.
template <class Part>
REPRISE_INLINE Vec normalized(Vec x, const float* mean, const float* scale, const float* shift,
                              std::int64_t c, Part part) {
  return fma(x - load(mean + c, part), load(scale + c, part), load(shift + c, part));
}

// Calls f(i, part) for each vector of n elements; i is its first element.
template <class F>
REPRISE_INLINE void for_vectors(std::int64_t n, F f) {
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) f(i, All{});
  if (i < n) f(i, First{n - i});
}

// A compile-time flag as an argument of a generic lambda.
template <bool value_>
struct Flag {
  static constexpr bool value = value_;
};

REPRISE_INLINE Vec absolute(Vec v) {
  return (Vec)((VecInt)v & 0x7fffffff);
}
REPRISE_INLINE Vec square_root(Vec v) {
#if defined(__AVX512F__)
  return (Vec)_mm512_maskz_sqrt_ps(0xffff, (__m512)v);  // the plain form warns in GCC 12
#elif defined(__AVX2__)
  return (Vec)_mm256_sqrt_ps((__m256)v);
#elif defined(__x86_64__)
  return (Vec)_mm_sqrt_ps((__m128)v);
#else
  for (int i = 0; i < lanes; ++i) v[i] = __builtin_sqrtf(v[i]);
  return v;
#endif
}

// Half a vector of floats, and the same as doubles, for sums over many elements.
typedef float HalfVec __attribute__((vector_size(lanes * 2)));
typedef double VecDouble __attribute__((vector_size(lanes * 4)));
REPRISE_INLINE VecDouble widen_low(Vec v) {
  HalfVec h;
  __builtin_memcpy(&h, &v, sizeof h);
  return __builtin_convertvector(h, VecDouble);
}
REPRISE_INLINE VecDouble widen_high(Vec v) {
  HalfVec h;
  __builtin_memcpy(&h, reinterpret_cast<const char*>(&v) + sizeof h, sizeof h);
  return __builtin_convertvector(h, VecDouble);
}
// Returns the sum of the lanes, added in order.
REPRISE_INLINE double sum_lanes(VecDouble v) {
  double sum = 0;
  for (int i = 0; i < lanes / 2; ++i) sum += v[i];
  return sum;
}

}  // namespace reprise::kernels::cpu::REPRISE_ISA
