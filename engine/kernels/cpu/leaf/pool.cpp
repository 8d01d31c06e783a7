#include "engine/kernels/cpu/leaf/pool.h"

#include "engine/kernels/cpu/leaf/vec.h"

namespace reprise::kernels::cpu::REPRISE_ISA {
namespace {

// `lanes` bytes, as integers and back. In intrinsics where there are some: compilers take the general form
// apart.
REPRISE_INLINE VecInt load_bytes(const std::uint8_t* p, First part) {
  VecInt v{};
  for (int i = 0; i < part.n; ++i) v[i] = p[i];
  return v;
}
REPRISE_INLINE VecInt load_bytes(const std::uint8_t* p, All) {
#if defined(__AVX512F__)
  __m128i bytes;
  __builtin_memcpy(&bytes, p, lanes);
  return (VecInt)_mm512_maskz_cvtepu8_epi32(0xffff, bytes);  // the plain form warns in GCC 12
#elif defined(__AVX2__)
  long long bytes;
  __builtin_memcpy(&bytes, p, lanes);
  return (VecInt)_mm256_cvtepu8_epi32(_mm_cvtsi64_si128(bytes));
#elif defined(__x86_64__)
  int bytes;
  __builtin_memcpy(&bytes, p, lanes);
  const __m128i zero = _mm_setzero_si128();
  return (VecInt)_mm_unpacklo_epi16(_mm_unpacklo_epi8(_mm_cvtsi32_si128(bytes), zero), zero);
#else
  return load_bytes(p, First{lanes});
#endif
}
REPRISE_INLINE void store_bytes(std::uint8_t* p, VecInt v, First part) {
  for (int i = 0; i < part.n; ++i) p[i] = static_cast<std::uint8_t>(v[i]);
}
REPRISE_INLINE void store_bytes(std::uint8_t* p, VecInt v, All) {
#if defined(__AVX512F__)
  const __m128i bytes = _mm512_maskz_cvtepi32_epi8(0xffff, (__m512i)v);
  __builtin_memcpy(p, &bytes, lanes);
#elif defined(__AVX2__)
  const __m256i i = (__m256i)v;
  const __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(i), _mm256_extracti128_si256(i, 1));
  const long long bytes = _mm_cvtsi128_si64(_mm_packus_epi16(words, words));
  __builtin_memcpy(p, &bytes, lanes);
#else
  store_bytes(p, v, First{lanes});
#endif
}

template <class T>
void max_fwd(const Window& z, std::int64_t first_tap, const T* in, T* out, std::uint8_t* tap) {
  for (std::int64_t o = 0; o < z.count; ++o)
    for_vectors(z.channels, [&](std::int64_t c, auto part) {
      const T* p = in + o * z.in_step + c;
      Vec best = load(p, part);
      VecInt winner = VecInt{} + static_cast<std::int32_t>(first_tap);
      for (std::int64_t r = 0; r < z.rows; ++r)
        for (std::int64_t s = 0; s < z.columns; ++s) {
          const Vec v = load(p + r * z.in_row + s * z.in_column, part);
          const VecInt wins = (v > best) | ((v != v) & (best == best));
          best = select(wins, v, best);
          const auto number = static_cast<std::int32_t>(first_tap + r * z.tap_row + s * z.tap_column);
          winner = wins ? VecInt{} + number : winner;
        }
      store(out + o * z.out_step + c, best, part);
      store_bytes(tap + o * z.out_step + c, winner, part);
    });
}

template <class T>
void max_bwd(const Window& z, std::int64_t first_tap, const T* in, const std::uint8_t* tap, T* out) {
  for (std::int64_t o = 0; o < z.count; ++o)
    for_vectors(z.channels, [&](std::int64_t c, auto part) {
      Vec sum{};
      for (std::int64_t r = 0; r < z.rows; ++r)
        for (std::int64_t s = 0; s < z.columns; ++s) {
          const std::int64_t at = o * z.in_step + r * z.in_row + s * z.in_column + c;
          const auto number = static_cast<std::int32_t>(first_tap + r * z.tap_row + s * z.tap_column);
          sum += select(load_bytes(tap + at, part) == number, load(in + at, part), Vec{});
        }
      store(out + o * z.out_step + c, sum, part);
    });
}

template <class T>
void weighted_sum(const Window& z, const T* in, const float* factors, bool per_place, T* out) {
  for (std::int64_t o = 0; o < z.count; ++o)
    for_vectors(z.channels, [&](std::int64_t c, auto part) {
      Vec sum{};
      for (std::int64_t r = 0; r < z.rows; ++r)
        for (std::int64_t s = 0; s < z.columns; ++s) {
          const std::int64_t at = o * z.in_step + r * z.in_row + s * z.in_column;
          sum += load(in + at + c, part) * (per_place ? factors[at / z.channels] : *factors);
        }
      store(out + o * z.out_step + c, sum, part);
    });
}

}  // namespace

REPRISE_LEAF_TABLES(PoolLeaf, pool_leaf, max_fwd, max_bwd, weighted_sum);

}  // namespace reprise::kernels::cpu::REPRISE_ISA
