// Sums and norms. All sums are taken in double.
#include <cmath>

#include "engine/kernels/ref/loops.h"

namespace reprise::kernels::ref {
namespace {

// Returns the norm of n values: sum |w| or sqrt(sum w^2).
template <class T>
double norm_of(bool l1, const T* w, std::int64_t n) {
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const double v = static_cast<double>(w[i]);
    sum += l1 ? std::abs(v) : v * v;
  }
  return l1 ? sum : std::sqrt(sum);
}

// Returns the number of rows: for l12 one per index of the first axis, else one.
std::int64_t rows_of(NormKind kind, const Shape& x) {
  return kind == NormKind::l12 && x.rank() > 1 ? x[0] : 1;
}

}  // namespace

template <class T>
void sum_all(View x, MutView y) {
  double sum = 0;
  for (std::int64_t i = 0; i < x.numel(); ++i) sum += static_cast<double>(x.data<T>()[i]);
  *y.data<T>() = static_cast<T>(sum);
}

// y[c] = sum of x[...,c]
template <class T>
void sum_rows(View x, MutView y) {
  const std::int64_t channels = y.numel();
  each_output(channels, channels == 0 ? 0 : x.numel() / channels, [&](std::int64_t c) {
    double sum = 0;
    for (std::int64_t i = c; i < x.numel(); i += channels) sum += static_cast<double>(x.data<T>()[i]);
    y.data<T>()[c] = static_cast<T>(sum);
  });
}

// y[...,c] = x[c] or, if x is a scalar, y = x everywhere
template <class T>
void expand(View x, MutView y) {
  const std::int64_t channels = x.numel();
  each_output(y.numel(), 1, [&](std::int64_t i) { y.data<T>()[i] = x.data<T>()[i % channels]; });
}

template <class T>
void norm_fwd(const NormArgs& a, View x, MutView y) {
  const std::int64_t rows = rows_of(a.kind, x.shape), n = rows == 0 ? 0 : x.numel() / rows;
  double sum = 0;
  for (std::int64_t r = 0; r < rows; ++r) sum += norm_of(a.kind == NormKind::l1, x.data<T>() + r * n, n);
  *y.data<T>() = static_cast<T>(sum);
}

// l1: dx = dy * sign(x).   l2, l12: dx = dy * x / (the norm of x's row), 0 where that norm is 0.
template <class T>
void norm_bwd(const NormArgs& a, View x, View dy, MutView dx) {
  const std::int64_t rows = rows_of(a.kind, x.shape), n = rows == 0 ? 0 : x.numel() / rows;
  const double scale = static_cast<double>(*dy.data<T>());
  each_output(rows, 2 * n, [&](std::int64_t r) {
    const double norm = a.kind == NormKind::l1 ? 1 : norm_of(false, x.data<T>() + r * n, n);
    for (std::int64_t i = r * n; i < (r + 1) * n; ++i) {
      const double v = static_cast<double>(x.data<T>()[i]);
      const double direction = a.kind == NormKind::l1 ? (v > 0) - (v < 0) : norm == 0 ? 0 : v / norm;
      dx.data<T>()[i] = static_cast<T>(scale * direction);
    }
  });
}

REPRISE_REF_KERNEL(sum_all);
REPRISE_REF_KERNEL(sum_rows);
REPRISE_REF_KERNEL(expand);
REPRISE_REF_KERNEL(norm_fwd);
REPRISE_REF_KERNEL(norm_bwd);

}  // namespace reprise::kernels::ref
