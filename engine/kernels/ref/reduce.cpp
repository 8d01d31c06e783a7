// Sums and norms. All sums are taken in double.
#include <cmath>

#include "engine/kernels/norm.h"
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
void norm_fwd(const NormArgs& a, Views x, MutView norms, MutView y) {
  auto* row = norms.data<double>();
  T total = 0;
  for (std::size_t k = 0; k < x.size(); ++k) {
    const std::int64_t rows = norm_rows(a.kind, x[k].shape), n = rows == 0 ? 0 : x[k].numel() / rows;
    double sum = 0;
    for (std::int64_t r = 0; r < rows; ++r)
      sum += * row++ = norm_of(a.kind == NormKind::l1, x[k].data<T>() + r * n, n);
    total = k == 0 ? static_cast<T>(sum) : total + static_cast<T>(sum);
  }
  *y.data<T>() = total;
}

// dx = dy * the gradient of x's norm
template <class T>
void norm_bwd(const NormArgs& a, View x, View norms, View dy, MutView dx) {
  const std::int64_t rows = norms.numel(), n = rows == 0 ? 0 : x.numel() / rows;
  const NormGradient gradient{a.kind == NormKind::l1, static_cast<double>(*dy.data<T>())};
  each_output(x.numel(), 2, [&](std::int64_t i) {
    dx.data<T>()[i] =
        static_cast<T>(gradient(static_cast<double>(x.data<T>()[i]), norms.data<double>()[i / n]));
  });
}

REPRISE_REF_KERNEL(sum_all);
REPRISE_REF_KERNEL(sum_rows);
REPRISE_REF_KERNEL(expand);
REPRISE_REF_KERNEL(norm_fwd);
REPRISE_REF_KERNEL(norm_bwd);

}  // namespace reprise::kernels::ref
