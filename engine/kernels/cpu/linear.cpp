// Matrix products, as tap convolutions with one tap whose pixels are the rows.
#include <algorithm>
#include <cstring>

#include "engine/kernels/cpu/base/scratch.h"
#include "engine/kernels/cpu/conv/tap_conv.h"
#include "engine/kernels/kernels.h"

namespace reprise::kernels::cpu {
namespace {

// Computes y (m,n) = a (m,k) * b (k,n). Element (i,j) of b is b[i * b_k + j * b_n].
void product(const float* a, std::int64_t m, std::int64_t k, const float* b, std::int64_t b_k,
             std::int64_t b_n, std::int64_t n, float* y, const Storage* sealed = nullptr,
             const std::string& key = {}) {
  if (m == 0 || n == 0) return;
  if (k == 0) {
    std::fill_n(y, m * n, 0.0f);
    return;
  }
  TapConv<float> t;
  t.in = a;
  t.w = m, t.in_channels = k, t.c = k;
  t.rows = {0}, t.cols = {0};
  t.out = y;
  t.ow = m, t.o = n;
  t.out_pixel = n, t.out_row = m * n, t.out_image = m * n;
  const auto weight = [=](std::int64_t, std::int64_t, std::int64_t c, std::int64_t* stride) {
    *stride = b_n;
    return b + c * b_k;
  };
  tap_conv(t, packed_weights(t, sealed, key, weight));
}

// Returns a (k,m) as (m,k), in this thread's Scratch::operand.
const float* transposed(const float* a, std::int64_t k, std::int64_t m) {
  float* t = scratch(Scratch::operand, static_cast<std::size_t>(k * m));
  for (std::int64_t i = 0; i < k; ++i)
    for (std::int64_t j = 0; j < m; ++j) t[j * k + i] = a[i * m + j];
  return t;
}

}  // namespace

template <>
void matmul<float>(const MatmulArgs& args, View a, View b, MutView y) {
  const std::int64_t m = y.dim(0), n = y.dim(1), k = args.transpose_a ? a.dim(0) : a.dim(1);
  const float* rows = args.transpose_a ? transposed(a.data<float>(), k, m) : a.data<float>();
  product(rows, m, k, b.data<float>(), args.transpose_b ? 1 : n, args.transpose_b ? k : 1, n,
          y.data<float>());
}

template <>
void linear_fwd<float>(View x, View w, View b, MutView y) {
  const std::int64_t o = w.dim(0), i = w.dim(1), m = x.dim(0);
  float* out = y.data<float>();
  product(x.data<float>(), m, i, w.data<float>(), 1, i, o, out);
  for (std::int64_t r = 0; b && r < m; ++r)
    for (std::int64_t c = 0; c < o; ++c) out[r * o + c] += b.data<float>()[c];
}

template <>
void linear_dgrad<float>(View dy, View w, MutView dx) {
  const std::int64_t o = w.dim(0), i = w.dim(1);
  product(dy.data<float>(), dy.dim(0), o, w.data<float>(), i, 1, i, dx.data<float>());
}

template <>
void linear_wgrad<float>(View x, View dy, MutView dw) {
  const std::int64_t o = dw.dim(0), i = dw.dim(1), m = x.dim(0);
  product(transposed(dy.data<float>(), m, o), o, m, x.data<float>(), i, 1, i, dw.data<float>());
}

template <>
void linear_bgrad<float>(View dy, MutView db) {
  const std::int64_t o = db.dim(0), m = dy.dim(0);
  std::fill_n(db.data<float>(), o, 0.0f);
  for (std::int64_t r = 0; r < m; ++r)
    for (std::int64_t c = 0; c < o; ++c) db.data<float>()[c] += dy.data<float>()[r * o + c];
}

}  // namespace reprise::kernels::cpu
