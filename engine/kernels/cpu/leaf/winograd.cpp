#include "engine/kernels/cpu/leaf/winograd.h"

#include "engine/kernels/cpu/leaf/vec.h"

namespace reprise::kernels::cpu::REPRISE_ISA {
namespace {

// B^T:  p2q2     0  -(p2+q2)        0  1  0
//          0  -pq2       -q2        p  1  0
//          0   pq2       -q2       -p  1  0
//          0  -qp2       -p2        q  1  0
//          0   qp2       -p2       -q  1  0
//          0  p2q2         0 -(p2+q2)  0  1      where p2 = p * p, and so on
REPRISE_INLINE void transform_input(const Vec (&d)[6], Vec (&t)[6]) {
  const Vec p = broadcast(winograd_p), q = broadcast(winograd_q),
            minus_p2 = broadcast(-winograd_p * winograd_p), minus_q2 = broadcast(-winograd_q * winograd_q),
            both = minus_p2 + minus_q2, product = minus_p2 * minus_q2;
  t[0] = fma(product, d[0], fma(both, d[2], d[4]));
  const Vec a = fma(minus_q2, d[2], d[4]), b = fma(minus_q2, d[1], d[3]);
  t[1] = fma(p, b, a);
  t[2] = fma(-p, b, a);
  const Vec e = fma(minus_p2, d[2], d[4]), f = fma(minus_p2, d[1], d[3]);
  t[3] = fma(q, f, e);
  t[4] = fma(-q, f, e);
  t[5] = fma(product, d[1], fma(both, d[3], d[5]));
}

// A^T:  1   1    1   1    1  0
//       0   p   -p   q   -q  0
//       0  p2   p2  q2   q2  0
//       0  p3  -p3  q3  -q3  1
REPRISE_INLINE void transform_output(const Vec (&m)[6], Vec (&y)[4]) {
  const Vec p = broadcast(winograd_p), q = broadcast(winograd_q), p2 = p * p, q2 = q * q;
  const Vec s1 = m[1] + m[2], d1 = m[1] - m[2], s2 = m[3] + m[4], d2 = m[3] - m[4];
  y[0] = m[0] + s1 + s2;
  y[1] = fma(q, d2, p * d1);
  y[2] = fma(q2, s2, p2 * s1);
  y[3] = fma(q2 * q, d2, fma(p2 * p, d1, m[5]));
}

template <class T>
void input(const WinogradInput<T>& tile) {
  for_vectors(tile.channels, [&](std::int64_t c, auto part) {
    Vec columns[6][6];  // [element of the column][column]
#pragma GCC unroll 6
    for (int j = 0; j < 6; ++j) {
      Vec d[6], t[6];
#pragma GCC unroll 6
      for (int i = 0; i < 6; ++i) d[i] = load(tile.pixel[6 * i + j] + c, part);
      transform_input(d, t);
#pragma GCC unroll 6
      for (int i = 0; i < 6; ++i) columns[i][j] = t[i];
    }
    float* v = tile.v + c;
#pragma GCC unroll 6
    for (int i = 0; i < 6; ++i) {
      Vec t[6];
      transform_input(columns[i], t);
#pragma GCC unroll 6
      for (int j = 0; j < 6; ++j) store(v + (6 * i + j) * tile.element_stride, t[j], part);
    }
  });
}

template <class T>
void output(const WinogradOutput<T>& tile) {
  for_vectors(tile.channels, [&](std::int64_t c, auto part) {
    Vec columns[4][6];
    const float* m = tile.m + c;
#pragma GCC unroll 6
    for (int j = 0; j < 6; ++j) {
      Vec d[6], t[4];
#pragma GCC unroll 6
      for (int i = 0; i < 6; ++i) d[i] = load(m + (6 * i + j) * tile.element_stride);
      transform_output(d, t);
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) columns[i][j] = t[i];
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      Vec y[4];
      transform_output(columns[i], y);
      if (i >= tile.rows) break;
      T* out = tile.y + i * tile.row_stride + c;
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j)
        if (j < tile.columns) store(out + j * tile.pixel_stride, y[j], part);
    }
  });
}

// A row of G belongs to a point a and is (1, a, a^2) / N, N the product of a's distances to the other points:
// p^2 q^2 for 0, 2p^2 (p^2 - q^2) for p and -p, 2q^2 (q^2 - p^2) for q and -q. Infinity's is (0, 0, 1). In
// double, so that what is rounded is the transform alone.
REPRISE_INLINE void transform_taps(VecDouble a, VecDouble b, VecDouble c, VecDouble (&t)[6]) {
  constexpr double p = static_cast<double>(winograd_p), q = static_cast<double>(winograd_q),
                   at_p = 2 * p * p * (p * p - q * q), at_q = 2 * q * q * (q * q - p * p);
  const VecDouble even_p = a + p * p * c, even_q = a + q * q * c;
  t[0] = a / (p * p * q * q);
  t[1] = (even_p + p * b) / at_p;
  t[2] = (even_p - p * b) / at_p;
  t[3] = (even_q + q * b) / at_q;
  t[4] = (even_q - q * b) / at_q;
  t[5] = c;
}

void filter(const WinogradFilter& f) {
  constexpr int half = lanes / 2;
  for (std::int64_t k = 0; k < f.block; k += half) {
    VecDouble rows[3][6];
    for (int r = 0; r < 3; ++r) {
      VecDouble g[3];
      for (int s = 0; s < 3; ++s) __builtin_memcpy(&g[s], f.taps + (3 * r + s) * f.block + k, sizeof g[s]);
      transform_taps(g[0], g[1], g[2], rows[r]);
    }
    for (int s = 0; s < 6; ++s) {
      VecDouble column[6];
      transform_taps(rows[0][s], rows[1][s], rows[2][s], column);
      for (int r = 0; r < 6; ++r) {
        const HalfVec u = __builtin_convertvector(column[r], HalfVec);
        __builtin_memcpy(f.u + (6 * r + s) * f.element_stride + k, &u, sizeof u);
      }
    }
  }
}

}  // namespace

REPRISE_LEAF_TABLES(WinogradLeaf, winograd_leaf, input, output, filter);

}  // namespace reprise::kernels::cpu::REPRISE_ISA
