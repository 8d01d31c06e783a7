#include "engine/kernels/cpu/leaf/conv_tile.h"

#include "engine/kernels/cpu/leaf/vec.h"

namespace reprise::kernels::cpu::REPRISE_ISA {
namespace {

// Hides a value from the optimiser, which would otherwise keep one pointer per pixel
// and run out of registers. One pointer per segment and three strides are enough.
template <class T>
REPRISE_INLINE void opaque(T& value) {
  __asm__("" : "+r"(value));
}

// Returns pixel P of a segment: `base` plus a multiple of a stride that an x86 address can hold.
template <int P>
REPRISE_INLINE const float* pixel(const char* base, std::int64_t s1, std::int64_t s3, std::int64_t s5) {
  static_assert(P < 8);
  if constexpr (P == 0) return reinterpret_cast<const float*>(base);
  if constexpr (P == 1) return reinterpret_cast<const float*>(base + s1);
  if constexpr (P == 2) return reinterpret_cast<const float*>(base + 2 * s1);
  if constexpr (P == 3) return reinterpret_cast<const float*>(base + s3);
  if constexpr (P == 4) return reinterpret_cast<const float*>(base + 4 * s1);
  if constexpr (P == 5) return reinterpret_cast<const float*>(base + s5);
  if constexpr (P == 6) return reinterpret_cast<const float*>(base + 2 * s3);
  if constexpr (P == 7) return reinterpret_cast<const float*>(base + s5 + 2 * s1);
}

template <int NV>
struct Weights {
  Vec v[NV];
};

#if defined(__AVX512BF16__)
constexpr bool has_pairs = true;
REPRISE_INLINE Vec broadcast_pair(const float* p) {
  int pair;
  __builtin_memcpy(&pair, p, sizeof pair);
  return (Vec)_mm512_set1_epi32(pair);
}
REPRISE_INLINE Vec add_pairs(Vec x, Vec w, Vec sum) {
  return (Vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)x, (__m512bh)w);
}
#else
constexpr bool has_pairs = false;
REPRISE_INLINE Vec broadcast_pair(const float* p) {
  return broadcast(*p);
}
REPRISE_INLINE Vec add_pairs(Vec x, Vec w, Vec sum) {
  return fma(x, w, sum);
}
#endif

template <int P, bool pairs, int SEG, int NV>
REPRISE_INLINE void segment(const char* base, std::int64_t s1, std::int64_t s3, std::int64_t s5,
                            const Weights<NV>& w, Vec (&acc)[SEG][NV]) {
  if constexpr (P < SEG) {
    const float* p = pixel<P>(base, s1, s3, s5);
    const Vec x = pairs ? broadcast_pair(p) : broadcast(*p);
    for (int v = 0; v < NV; ++v)
      acc[P][v] = pairs ? add_pairs(x, w.v[v], acc[P][v]) : fma(x, w.v[v], acc[P][v]);
    segment<P + 1, pairs, SEG, NV>(base, s1, s3, s5, w, acc);
  }
}

template <int P, int SEG>
REPRISE_INLINE void prefetch_pixels(const char* base, std::int64_t s1, std::int64_t s3, std::int64_t s5) {
  if constexpr (P < SEG) {
    __builtin_prefetch(pixel<P>(base, s1, s3, s5), 0, 2);
    prefetch_pixels<P + 1, SEG>(base, s1, s3, s5);
  }
}

// Prefetches lines into the second-level cache, and moves `at` past them.
REPRISE_INLINE void prefetch_lines(const float*& at, std::int64_t lines) {
  for (std::int64_t i = 0; i < lines; ++i, at += line_words) __builtin_prefetch(at, 0, 2);
}

template <int SEG, int NSEG, int NV, class Out, int writes, class Pointer>
REPRISE_INLINE void prefetch_outputs(const TileCall& c, const Pointer* first) {
#pragma GCC unroll 8
  for (int s = 0; s < NSEG; ++s)
#pragma GCC unroll 8
    for (int p = 0; p < SEG; ++p)
#pragma GCC unroll 8
      for (int v = 0; v < NV; v += static_cast<int>(sizeof(float) / sizeof(Out)))
        __builtin_prefetch(static_cast<const Out*>(first[s]) + p * c.out_stride + v * lanes, writes, 2);
}

// Stores finish(sum, output, segment, distance from its first output, part) for each vector.
template <int SEG, int NSEG, int NV, class Out, class F>
REPRISE_INLINE void store_tile(const TileCall& c, const Vec (&acc)[NSEG][SEG][NV], F finish) {
#pragma GCC unroll 8
  for (int s = 0; s < NSEG; ++s)
#pragma GCC unroll 8
    for (int p = 0; p < SEG; ++p) {
      if (p >= c.valid[s]) break;
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v) {
        const std::int64_t i = v * lanes, left = c.channels - i, at = p * c.out_stride + i;
        Out* out = static_cast<Out*>(c.out[s]) + at;
        if (left >= lanes)
          store(out, finish(acc[s][p][v], i, s, at, All{}));
        else if (left > 0)
          store_first(out, finish(acc[s][p][v], i, s, at, First{left}), left);
      }
    }
}

template <int SEG, int NSEG, int NV, bool pairs, class Out>
void tile(const TileCall& c) {
  Vec acc[NSEG][SEG][NV];
#pragma GCC unroll 8
  for (int s = 0; s < NSEG; ++s)
#pragma GCC unroll 8
    for (int p = 0; p < SEG; ++p)
#pragma GCC unroll 8
      for (int v = 0; v < NV; ++v) acc[s][p][v] = Vec{};

  // Prefetches the outputs and the residual while the sums are computed. They go into
  // the second-level cache; the first is for what is read again.
  prefetch_outputs<SEG, NSEG, NV, Out, 1>(c, c.out);
  if (c.residual[0] != nullptr) prefetch_outputs<SEG, NSEG, NV, Out, 0>(c, c.residual);

  std::int64_t s1 = c.in_stride * 4, s3 = 3 * s1, s5 = 5 * s1;
  const float *panel = c.panel, *ahead = c.ahead;
  for (std::int64_t r = 0; r < c.run_count; ++r) {
    const char* base[NSEG];
#pragma GCC unroll 8
    for (int s = 0; s < NSEG; ++s) base[s] = reinterpret_cast<const char*>(c.in[s] + c.runs[r]);
    for (std::int64_t left = c.run_length; left > 0; left -= line_words) {
      // Also later calls' weights, and the next tile's pixels.
      prefetch_lines(ahead, c.ahead_lines);
      if (c.pixels_follow) {
#pragma GCC unroll 8
        for (int s = 0; s < NSEG; ++s) prefetch_pixels<0, SEG>(base[s] + NSEG * SEG * s1, s1, s3, s5);
      }
      for (std::int64_t k = left < line_words ? left : line_words; k > 0; --k) {
        Weights<NV> w;
#pragma GCC unroll 8
        for (int v = 0; v < NV; ++v) w.v[v] = load(panel + v * lanes);
        panel += NV * lanes;
        opaque(s1);
#pragma GCC unroll 8
        for (int s = 0; s < NSEG; ++s) {
          opaque(base[s]);
          segment<0, pairs, SEG, NV>(base[s], s1, s3, s5, w, acc[s]);
          base[s] += 4;
        }
      }
    }
  }

  if (c.mean != nullptr) {
    const Vec least = broadcast(c.activation == Activation::none ? -__builtin_inff() : 0.0F),
              most = broadcast(c.activation == Activation::relu6 ? 6.0F : __builtin_inff());
    store_tile<SEG, NSEG, NV, Out>(c, acc, [&](Vec sum, std::int64_t i, int s, std::int64_t at, auto part) {
      Vec v = normalized(as_stored<Out>(sum), c.mean, c.scale, c.shift, i, part);
      if (c.residual[s] != nullptr)
        v = as_stored<Out>(v) + load(static_cast<const Out*>(c.residual[s]) + at, part);
      return select(v < least, least, select(v > most, most, v));
    });
  } else if (c.adds) {
    store_tile<SEG, NSEG, NV, Out>(c, acc, [&](Vec sum, std::int64_t, int s, std::int64_t at, auto part) {
      return load(static_cast<const Out*>(c.out[s]) + at, part) + as_stored<Out>(sum);
    });
  } else {
    store_tile<SEG, NSEG, NV, Out>(c, acc,
                                   [](Vec sum, std::int64_t, int, std::int64_t, auto) { return sum; });
  }
}

template <int SEG, int NSEG, int NV>
constexpr TileVariant variant() {
  return {SEG, NSEG, NV, tile<SEG, NSEG, NV, false, float>, tile<SEG, NSEG, NV, has_pairs, BFloat16>};
}

// The next panel, of which `share` lines are prefetched with each line_words inputs.
struct Ahead {
  const float* next;
  std::int64_t share;
};

// Computes R rows, in segments of at most seven: one register and three strides address each.
template <int R, int NV>
void product_rows(const ProductCall& c, const float* v, float* m, Ahead ahead) {
  constexpr int upper = R < 7 ? R : 7, lower = R - upper;
  Vec acc[upper][NV] = {}, below[lower > 0 ? lower : 1][NV] = {};
  std::int64_t s1 = c.inputs * 4, s3 = 3 * s1, s5 = 5 * s1;
  const char *base = reinterpret_cast<const char*>(v), *base_below = base + upper * s1;
  const float* panel = c.panel;
  const std::int64_t m_stride = c.m_stride;
  for (std::int64_t left = c.inputs; left > 0; left -= line_words) {
    prefetch_lines(ahead.next, ahead.share);
    for (std::int64_t k = left < line_words ? left : line_words; k > 0; --k) {
      Weights<NV> w;
#pragma GCC unroll 8
      for (int i = 0; i < NV; ++i) w.v[i] = load(panel + i * lanes);
      panel += NV * lanes;
      opaque(s1);
      opaque(base);
      segment<0, false, upper, NV>(base, s1, s3, s5, w, acc);
      base += 4;
      if constexpr (lower > 0) {
        opaque(base_below);
        segment<0, false, lower, NV>(base_below, s1, s3, s5, w, below);
        base_below += 4;
      }
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int i = 0; i < NV; ++i)
      store(m + r * m_stride + i * lanes, r < upper ? acc[r % upper][i] : below[r - upper][i]);
}

template <int R, int NV>
REPRISE_INLINE void product_of(std::int64_t rows, const ProductCall& c, const float* v, float* m,
                               Ahead ahead) {
  if constexpr (R > 1) {
    if (rows < R) return product_of<R - 1, NV>(rows, c, v, m, ahead);
  }
  product_rows<R, NV>(c, v, m, ahead);
}

// Computes the product in tiles of at most `most` rows, as equal as possible: a small
// tile has too few sums to hide the latency of multiply-adds.
template <int most, int NV>
REPRISE_INLINE void product_tiles(const ProductCall& c) {
  const std::int64_t tiles = (c.rows + most - 1) / most, steps = (c.inputs + line_words - 1) / line_words;
  const std::int64_t lines = c.inputs * NV * lanes / line_words, at_once = steps * tiles;
  Ahead ahead{c.next, c.next != nullptr && tiles > 0 ? (lines + at_once - 1) / at_once : 0};
  for (std::int64_t t = 0, done = 0; t < tiles; ++t, ahead.next += steps * ahead.share * line_words) {
    const std::int64_t rows = (c.rows - done + tiles - t - 1) / (tiles - t);
    product_of<most, NV>(rows, c, c.v + done * c.inputs, c.m + done * c.m_stride, ahead);
    done += rows;
  }
}

template <int most>
void product(const ProductCall& c) {
  if (c.vectors == 1) return product_tiles<most, 1>(c);
  product_tiles<most, 2>(c);
}

// Swaps the halves of each pair.
void widen_swapped(const BFloat16* from, float* to, std::int64_t n) {
  typedef std::uint32_t Pairs __attribute__((vector_size(lanes * 2)));
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    Pairs p;
    __builtin_memcpy(&p, from + i, sizeof p);
    store(to + i, widen((VecHalves)(p << 16 | p >> 16)));
  }
  for (; i < n; i += 2) {
    store_first(to + i, load_first(from + i + 1, 1), 1);
    store_first(to + i + 1, load_first(from + i, 1), 1);
  }
}

// Computes OT output channels by NV vectors of inputs. The sum over the pixels is kept
// in registers, then added to dw.
template <int OT, int NV>
void wgrad(const WgradCall& c) {
  Vec acc[OT][NV];
#pragma GCC unroll 16
  for (int o = 0; o < OT; ++o)
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) acc[o][v] = Vec{};
  for (std::int64_t row = 0; row < c.rows; ++row) {
    const float* x = c.x + row * c.x_row_stride;
    const float* dy = c.dy + row * c.dy_row_stride;
    for (std::int64_t p = c.pixels; p > 0; --p) {
      Vec in[NV];
#pragma GCC unroll 4
      for (int v = 0; v < NV; ++v) in[v] = load(x + v * lanes);
      opaque(dy);
#pragma GCC unroll 16
      for (int o = 0; o < OT; ++o) {
        const Vec g = broadcast(dy[o]);
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v) acc[o][v] = fma(g, in[v], acc[o][v]);
      }
      x += c.x_stride;
      dy += c.dy_stride;
    }
  }
#pragma GCC unroll 16
  for (int o = 0; o < OT; ++o) {
    if (o >= c.outputs) break;
    float* dw = c.dw + o * c.dw_stride;
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) {
      const std::int64_t left = c.inputs - v * lanes;
      if (left >= lanes)
        store(dw + v * lanes, load(dw + v * lanes) + acc[o][v]);
      else if (left > 0)
        store_first(dw + v * lanes, load_first(dw + v * lanes, left) + acc[o][v], left);
    }
  }
}

}  // namespace

extern const ConvLeaf conv_leaf;
#if defined(__AVX512F__)
// 32 registers: 28 sums, 2 weights, 1 input. Widths 7·2^k fit the first form, others the second.
const ConvLeaf conv_leaf{lanes,
                         has_pairs,
                         {variant<7, 2, 2>(), variant<4, 3, 2>(), variant<7, 3, 1>(), variant<4, 6, 1>()},
                         4,
                         14,
                         2,
                         wgrad<14, 2>,
                         product<14>,
                         widen_swapped};
#else
// 16 registers: 12 sums, 2 weights, 1 input. One segment needs the fewest addresses;
// shorter segments fit short rows.
const ConvLeaf conv_leaf{
    lanes,       has_pairs,  {variant<6, 1, 2>(), variant<2, 3, 2>(), variant<3, 2, 2>(), variant<4, 3, 1>()},
    4,           6,          2,
    wgrad<6, 2>, product<6>, widen_swapped};
#endif

}  // namespace reprise::kernels::cpu::REPRISE_ISA
