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

}  // namespace

REPRISE_LEAF_TABLES(WinogradLeaf, winograd_leaf, input, output);

}  // namespace reprise::kernels::cpu::REPRISE_ISA
