// Softmax and the classification loss, row by row.
#include "engine/kernels/cpu/leaf/softmax.h"
#include "engine/base/parallel.h"
#include "engine/kernels/cpu/base/chunks.h"
#include "engine/kernels/kernels.h"

namespace reprise::kernels::cpu {
namespace {

// Calls f(row, offset of the row) for each row of (M,C).
template <class F>
void each_row(const Shape& x, F f) {
  if (x[1] == 0) return;
  parallel_for(x[0], rows_per_chunk(1 << 13, x[1]), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) f(row, row * x[1]);
  });
}

}  // namespace

template <>
void softmax_fwd<float>(View x, MutView y) {
  each_row(x.shape, [&](std::int64_t, std::int64_t at) {
    softmax_leaf().softmax_fwd(x.data<float>() + at, y.data<float>() + at, x.dim(1));
  });
}

template <>
void softmax_bwd<float>(View y, View dy, MutView dx) {
  each_row(y.shape, [&](std::int64_t, std::int64_t at) {
    softmax_leaf().softmax_bwd(y.data<float>() + at, dy.data<float>() + at, dx.data<float>() + at, y.dim(1));
  });
}

template <>
void log_softmax_fwd<float>(View x, MutView y) {
  each_row(x.shape, [&](std::int64_t, std::int64_t at) {
    softmax_leaf().log_softmax_fwd(x.data<float>() + at, y.data<float>() + at, x.dim(1));
  });
}

template <>
void log_softmax_bwd<float>(View y, View dy, MutView dx) {
  each_row(y.shape, [&](std::int64_t, std::int64_t at) {
    softmax_leaf().log_softmax_bwd(y.data<float>() + at, dy.data<float>() + at, dx.data<float>() + at,
                                   y.dim(1));
  });
}

// Plain loop: vectors and threads gain nothing for one value per row.
template <>
void nll_fwd<float>(View log_probs, View labels, MutView loss) {
  const std::int64_t rows = log_probs.dim(0), n = log_probs.dim(1);
  double sum = 0;
  for (std::int64_t row = 0; row < rows; ++row)
    sum -= static_cast<double>(log_probs.data<float>()[row * n + labels.data<std::int64_t>()[row]]);
  *loss.data<float>() = static_cast<float>(sum / static_cast<double>(rows));
}

template <>
void cross_entropy_bwd<float>(View log_probs, View labels, View dloss, MutView dlogits) {
  const float scale = *dloss.data<float>() / static_cast<float>(log_probs.dim(0));
  each_row(log_probs.shape, [&](std::int64_t row, std::int64_t at) {
    softmax_leaf().cross_entropy_bwd(log_probs.data<float>() + at, labels.data<std::int64_t>()[row], scale,
                                     dlogits.data<float>() + at, log_probs.dim(1));
  });
}

template <>
void argmax_rows<float>(View x, MutView y) {
  const std::int64_t n = x.dim(1);
  each_row(x.shape, [&](std::int64_t row, std::int64_t at) {
    const float* v = x.data<float>() + at;
    std::int64_t best = 0;
    for (std::int64_t c = 1; c < n; ++c)
      if (v[c] > v[best]) best = c;
    y.data<std::int64_t>()[row] = best;
  });
}

}  // namespace reprise::kernels::cpu
