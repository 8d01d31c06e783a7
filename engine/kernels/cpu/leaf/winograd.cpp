#include "engine/kernels/cpu/leaf/winograd.h"

#include "engine/kernels/cpu/leaf/vec.h"

namespace reprise::kernels::cpu::REPRISE_ISA {
namespace {

// B^T of stride 1:
//       p2q2     0  -(p2+q2)        0  1  0
//          0  -pq2       -q2        p  1  0
//          0   pq2       -q2       -p  1  0
//          0  -qp2       -p2        q  1  0
//          0   qp2       -p2       -q  1  0
//          0  p2q2         0 -(p2+q2)  0  1      where p2 = p * p, and so on
// F(4, 2) lacks the point 0: its rows are the middle four, one column to the left, and the first.
// With a `minus` of 1 instead of -1 all elements of the matrices are absolute.
template <int minus = -1>
REPRISE_INLINE void four_points(Vec d0, Vec d1, Vec d2, Vec d3, Vec* t) {
  const Vec p = broadcast(winograd_p), q = broadcast(winograd_q),
            minus_p2 = broadcast(minus * winograd_p * winograd_p),
            minus_q2 = broadcast(minus * winograd_q * winograd_q);
  const Vec a = fma(minus_q2, d1, d3), b = fma(minus_q2, d0, d2);
  t[0] = fma(p, b, a);
  t[1] = fma(minus < 0 ? -p : p, b, a);
  const Vec e = fma(minus_p2, d1, d3), f = fma(minus_p2, d0, d2);
  t[2] = fma(q, f, e);
  t[3] = fma(minus < 0 ? -q : q, f, e);
}
template <int minus = -1>
REPRISE_INLINE Vec outer_row(Vec d0, Vec d2, Vec d4) {
  const Vec minus_p2 = broadcast(minus * winograd_p * winograd_p),
            minus_q2 = broadcast(minus * winograd_q * winograd_q);
  return fma(minus_p2 * minus_q2, d0, fma(minus_p2 + minus_q2, d2, d4));
}

// A^T of stride 1 (F(4, 2) lacks the first column):
//       1   1    1   1    1  0
//       0   p   -p   q   -q  0
//       0  p2   p2  q2   q2  0
//       0  p3  -p3  q3  -q3  1
template <int minus = -1>
REPRISE_INLINE void four_outputs(const Vec* m, Vec infinity, Vec (&sums)[2], Vec* y) {
  const Vec p = broadcast(winograd_p), q = broadcast(winograd_q), p2 = p * p, q2 = q * q;
  const Vec d1 = minus < 0 ? m[0] - m[1] : m[0] + m[1], d2 = minus < 0 ? m[2] - m[3] : m[2] + m[3];
  sums[0] = m[0] + m[1], sums[1] = m[2] + m[3];
  y[1] = fma(q, d2, p * d1);
  y[2] = fma(q2, sums[1], p2 * sums[0]);
  y[3] = fma(q2 * q, d2, fma(p2 * p, d1, infinity));
}

// G's row for a point a is (1, a, a^2) / N; N is the product of a's distances to the other points:
//   0: p^2 q^2    p, -p: 2p^2 (p^2 - q^2)    q, -q: 2q^2 (q^2 - p^2)
// Infinity's row is (0, 0, 1). F(4, 2) has (1, a) / N, where N is without the point 0.
// The transform is computed in double, so that only its result is rounded.
constexpr double p_exact = static_cast<double>(winograd_p), q_exact = static_cast<double>(winograd_q);

template <int minus = -1>
struct Unit {
  [[maybe_unused]] static constexpr WinogradAxis axis = winograd_unit;
  REPRISE_INLINE void input(const Vec (&d)[6], Vec (&t)[6]) {
    t[0] = outer_row<minus>(d[0], d[2], d[4]);
    four_points<minus>(d[1], d[2], d[3], d[4], t + 1);
    t[5] = outer_row<minus>(d[1], d[3], d[5]);
  }
  REPRISE_INLINE void output(const Vec (&m)[6], Vec (&y)[4]) {
    Vec sums[2];
    four_outputs<minus>(m + 1, m[5], sums, y);
    y[0] = m[0] + sums[0] + sums[1];
  }
  REPRISE_INLINE void taps(VecDouble a, VecDouble b, VecDouble c, VecDouble (&t)[6]) {
    constexpr double p = p_exact, q = q_exact, at_p = 2 * p * p * (p * p - q * q),
                     at_q = 2 * q * q * (q * q - p * p);
    const VecDouble even_p = a + p * p * c, even_q = a + q * q * c;
    t[0] = a / (p * p * q * q);
    t[1] = (even_p + p * b) / at_p;
    t[2] = (even_p - p * b) / at_p;
    t[3] = (even_q + q * b) / at_q;
    t[4] = (even_q - q * b) / at_q;
    t[5] = c;
  }
};

template <int minus = -1>
struct Strided {
  [[maybe_unused]] static constexpr WinogradAxis axis = winograd_strided;
  REPRISE_INLINE void input(const Vec (&d)[9], Vec (&t)[9]) {
    four_points<minus>(d[0], d[2], d[4], d[6], t);
    t[4] = outer_row<minus>(d[0], d[4], d[8]);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) t[5 + i] = d[2 * i + 1];
  }
  REPRISE_INLINE void output(const Vec (&m)[9], Vec (&y)[4]) {
    Vec sums[2];
    four_outputs<minus>(m, m[4], sums, y);
    y[0] = sums[0] + sums[1];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) y[i] = y[i] + m[5 + i];
  }
  REPRISE_INLINE void taps(VecDouble a, VecDouble b, VecDouble c, VecDouble (&t)[6]) {
    constexpr double p = p_exact, q = q_exact, at_p = 2 * p * (p * p - q * q), at_q = 2 * q * (q * q - p * p);
    t[0] = (a + p * c) / at_p;
    t[1] = (p * c - a) / at_p;
    t[2] = (a + q * c) / at_q;
    t[3] = (q * c - a) / at_q;
    t[4] = c;
    t[5] = b;
  }
};

// With a padding of 1:  dx[2j] = g1 dy[j],  dx[2j + 1] = g2 dy[j] + g0 dy[j + 1]
struct StridedGrad {
  [[maybe_unused]] static constexpr WinogradAxis axis = winograd_strided_grad;
  REPRISE_INLINE void input(const Vec (&d)[5], Vec (&t)[9]) {
    four_points(d[0], d[1], d[2], d[3], t);
    t[4] = outer_row(d[0], d[2], d[4]);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) t[5 + i] = d[i];
  }
  REPRISE_INLINE void output(const Vec (&m)[9], Vec (&y)[8]) {
    Vec sums[2], odd[4];
    four_outputs(m, m[4], sums, odd);
    odd[0] = sums[0] + sums[1];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) y[2 * i] = m[5 + i], y[2 * i + 1] = odd[i];
  }
};

template <class Form, class T>
void input(const WinogradInput<T>& tile) {
  constexpr WinogradAxis axis = Form::axis;
  for_vectors(tile.channels, [&](std::int64_t c, auto part) {
    Vec columns[axis.elements][axis.patch];  // [element of the column][column]
#pragma GCC unroll 9
    for (int j = 0; j < axis.patch; ++j) {
      Vec d[axis.patch], t[axis.elements];
#pragma GCC unroll 9
      for (int i = 0; i < axis.patch; ++i) d[i] = load(tile.pixel[axis.patch * i + j] + c, part);
      Form::input(d, t);
#pragma GCC unroll 9
      for (int i = 0; i < axis.elements; ++i) columns[i][j] = t[i];
    }
    float* v = tile.v + c;
#pragma GCC unroll 9
    for (int i = 0; i < axis.elements; ++i) {
      Vec t[axis.elements];
      Form::input(columns[i], t);
#pragma GCC unroll 9
      for (int j = 0; j < axis.elements; ++j)
        store(v + (axis.elements * i + j) * tile.element_stride, t[j], part);
    }
  });
}

template <class Form, class T>
void output(const WinogradOutput<T>& tile) {
  constexpr WinogradAxis axis = Form::axis;
  for_vectors(tile.channels, [&](std::int64_t c, auto part) {
    Vec columns[axis.outputs][axis.elements];
    const float* m = tile.m + c;
#pragma GCC unroll 9
    for (int j = 0; j < axis.elements; ++j) {
      Vec d[axis.elements], t[axis.outputs];
#pragma GCC unroll 9
      for (int i = 0; i < axis.elements; ++i) d[i] = load(m + (axis.elements * i + j) * tile.element_stride);
      Form::output(d, t);
#pragma GCC unroll 8
      for (int i = 0; i < axis.outputs; ++i) columns[i][j] = t[i];
    }
#pragma GCC unroll 8
    for (int i = 0; i < axis.outputs; ++i) {
      Vec y[axis.outputs];
      Form::output(columns[i], y);
      if (i >= tile.rows) break;
      T* out = tile.y + i * tile.row_stride + c;
#pragma GCC unroll 8
      for (int j = 0; j < axis.outputs; ++j)
        if (j < tile.columns) {
          T* at = out + j * tile.pixel_stride;
          if (tile.adds) y[j] = load(at, part) + as_stored<T>(y[j]);
          store(at, y[j], part);
        }
    }
  });
}

template <class Form>
void filter(const WinogradFilter& f) {
  constexpr int half = lanes / 2;
  for (std::int64_t k = 0; k < f.block; k += half) {
    VecDouble rows[3][6];
    for (int r = 0; r < 3; ++r) {
      VecDouble g[3];
      for (int s = 0; s < 3; ++s) __builtin_memcpy(&g[s], f.taps + (3 * r + s) * f.block + k, sizeof g[s]);
      Form::taps(g[0], g[1], g[2], rows[r]);
    }
    for (int s = 0; s < 6; ++s) {
      VecDouble column[6];
      Form::taps(rows[0][s], rows[1][s], rows[2][s], column);
      for (int r = 0; r < 6; ++r) {
        const HalfVec u = __builtin_convertvector(column[r], HalfVec);
        __builtin_memcpy(f.u + (6 * r + s) * f.panel_stride + k, &u, sizeof u);
      }
    }
  }
}

}  // namespace

REPRISE_LEAF_TABLES(WinogradTransforms, winograd_unit_leaf, input<Unit<>>, output<Unit<>>, filter<Unit<>>);

#if !defined(__AVX512BF16__)
extern const WinogradStridedLeaf winograd_strided_leaf;
const WinogradStridedLeaf winograd_strided_leaf{{input<Strided<>>, output<Strided<>>, filter<Strided<>>},
                                                {input<StridedGrad>, output<StridedGrad>, filter<Strided<>>}};
extern const WinogradSizesLeaf winograd_sizes_leaf;
const WinogradSizesLeaf winograd_sizes_leaf{{{input<Unit<>>, output<Unit<1>>, filter<Unit<>>},
                                             {input<Strided<>>, output<Strided<1>>, filter<Strided<>>}},
                                            {{input<Unit<1>>, output<Unit<1>>, filter<Unit<>>},
                                             {input<Strided<1>>, output<Strided<1>>, filter<Strided<>>}}};
#endif

}  // namespace reprise::kernels::cpu::REPRISE_ISA
