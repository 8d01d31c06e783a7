#include "engine/kernels/cpu/leaf/pool.h"

#include <type_traits>

#include "engine/kernels/cpu/leaf/vec.h"

namespace reprise::kernels::cpu::REPRISE_ISA {
namespace {

#if !defined(__AVX512F__)
// Load and store `lanes` bytes as integers, by intrinsics where there are some:
// compilers split the general form into single bytes.
REPRISE_INLINE VecInt load_bytes(const std::uint8_t* p, First part) {
  VecInt v{};
  for (int i = 0; i < part.n; ++i) v[i] = p[i];
  return v;
}
REPRISE_INLINE VecInt load_bytes(const std::uint8_t* p, All) {
#if defined(__AVX2__)
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
#if defined(__AVX2__)
  const __m256i i = (__m256i)v;
  const __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(i), _mm256_extracti128_si256(i, 1));
  const long long bytes = _mm_cvtsi128_si64(_mm_packus_epi16(words, words));
  __builtin_memcpy(p, &bytes, lanes);
#else
  store_bytes(p, v, First{lanes});
#endif
}
#endif

// The largest value so far and the number of its tap; a lane for each channel.
struct Winners {
  Vec value;
#if defined(__AVX512F__)
  __m128i tap;
#else
  VecInt tap;
#endif
};
REPRISE_INLINE Winners first_winners(Vec value, std::uint8_t tap) {
#if defined(__AVX512F__)
  return {value, _mm_set1_epi8(static_cast<char>(tap))};
#else
  return {value, VecInt{} + std::int32_t{tap}};
#endif
}
// `tap` wins where its value is larger, or is the first NaN.
REPRISE_INLINE void compete(Winners& best, Vec value, std::uint8_t tap) {
#if defined(__AVX512F__)
  const __m512 v = (__m512)value, held = (__m512)best.value;
  const __mmask16 wins =
      _mm512_mask_cmp_ps_mask(_mm512_cmp_ps_mask(held, held, _CMP_ORD_Q), v, held, _CMP_NLE_UQ);
  best.value = (Vec)_mm512_mask_mov_ps(held, wins, v);
  best.tap = _mm_mask_set1_epi8(best.tap, wins, static_cast<char>(tap));
#else
  const VecInt wins = (value > best.value) | ((value != value) & (best.value == best.value));
  best.value = select(wins, value, best.value);
  best.tap = wins ? VecInt{} + std::int32_t{tap} : best.tap;
#endif
}
template <class Part>
REPRISE_INLINE void store_taps(std::uint8_t* p, const Winners& best, Part part) {
#if defined(__AVX512F__)
  if constexpr (std::is_same_v<Part, All>)
    __builtin_memcpy(p, &best.tap, lanes);
  else
    _mm_mask_storeu_epi8(p, static_cast<__mmask16>((1u << part.n) - 1), best.tap);
#else
  store_bytes(p, best.tap, part);
#endif
}

template <class T>
void max_fwd(const Window& z, std::int64_t first_tap, const T* in, T* out, std::uint8_t* tap) {
  for (std::int64_t o = 0; o < z.count; ++o)
    for_vectors(z.channels, [&](std::int64_t c, auto part) {
      const T* p = in + o * z.in_step + c;
      Winners best = first_winners(load(p, part), static_cast<std::uint8_t>(first_tap));
      for (std::int64_t r = 0; r < z.rows; ++r)
        for (std::int64_t s = 0; s < z.columns; ++s)
          compete(best, load(p + r * z.in_row + s * z.in_column, part),
                  static_cast<std::uint8_t>(first_tap + r * z.tap_row + s * z.tap_column));
      store(out + o * z.out_step + c, best.value, part);
      store_taps(tap + o * z.out_step + c, best, part);
    });
}

// Returns sum + v in lanes whose tap in `taps` is `tap`, else sum.
template <class Part>
REPRISE_INLINE Vec add_where(const std::uint8_t* taps, std::uint8_t tap, Vec v, Vec sum, Part part) {
#if defined(__AVX512F__)
  __m128i bytes;
  if constexpr (std::is_same_v<Part, All>)
    __builtin_memcpy(&bytes, taps, lanes);
  else
    bytes = _mm_maskz_loadu_epi8(static_cast<__mmask16>((1u << part.n) - 1), taps);
  const __mmask16 here = _mm_cmpeq_epi8_mask(bytes, _mm_set1_epi8(static_cast<char>(tap)));
  return (Vec)_mm512_mask_add_ps((__m512)sum, here, (__m512)sum, (__m512)v);
#else
  return sum + select(load_bytes(taps, part) == std::int32_t{tap}, v, Vec{});
#endif
}

// rows, columns: the window's size if it is known at compile time, else 0.
template <int rows, int columns, class T>
REPRISE_INLINE void max_bwd_of(const Window& z, std::int64_t first_tap, const T* in, const std::uint8_t* tap,
                               T* out) {
  const std::int64_t height = rows != 0 ? rows : z.rows, width = columns != 0 ? columns : z.columns;
  for (std::int64_t o = 0; o < z.count; ++o)
    for_vectors(z.channels, [&](std::int64_t c, auto part) {
      Vec sum{};
      for (std::int64_t r = 0; r < height; ++r)
        for (std::int64_t s = 0; s < width; ++s) {
          const std::int64_t at = o * z.in_step + r * z.in_row + s * z.in_column + c;
          sum = add_where(tap + at, static_cast<std::uint8_t>(first_tap + r * z.tap_row + s * z.tap_column),
                          load(in + at, part), sum, part);
        }
      store(out + o * z.out_step + c, sum, part);
    });
}

template <class T>
void max_bwd(const Window& z, std::int64_t first_tap, const T* in, const std::uint8_t* tap, T* out) {
  // The sizes that occur with a stem's pooling, 3x3 with stride 2.
  if (z.rows == 1 && z.columns == 1) return max_bwd_of<1, 1>(z, first_tap, in, tap, out);
  if (z.rows == 1 && z.columns == 2) return max_bwd_of<1, 2>(z, first_tap, in, tap, out);
  if (z.rows == 2 && z.columns == 1) return max_bwd_of<2, 1>(z, first_tap, in, tap, out);
  if (z.rows == 2 && z.columns == 2) return max_bwd_of<2, 2>(z, first_tap, in, tap, out);
  max_bwd_of<0, 0>(z, first_tap, in, tap, out);
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
