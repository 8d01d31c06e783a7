// Sums and norms, defined in ../ref/reduce.cpp. Sums are taken in double, by a fixed tree.
#include "engine/kernels/cuda/launch.h"

namespace reprise::kernels::cuda {
namespace {

// Returns the number of rows with a norm of their own: x[0] for l12 and rank > 1, else 1.
std::int64_t rows_of(NormKind kind, const Shape& x) {
  return kind == NormKind::l12 && x.rank() > 1 ? x[0] : 1;
}

// Computes the norm of each row of n values: sum |x| (l1) or sqrt(sum x^2).
template <class T>
void row_norms(bool l1, std::int64_t rows, std::int64_t n, const T* x, double* norms) {
  channel_sums<1>(
      rows, n, 1,
      [=] __device__(std::int64_t row, std::int64_t i, std::int64_t, double* sum) {
        const double v = static_cast<double>(x[row * n + i]);
        sum[0] += l1 ? fabs(v) : v * v;
      },
      [=] __device__(std::int64_t row, const double* sum) { norms[row] = l1 ? sum[0] : sqrt(sum[0]); });
}

}  // namespace

template <class T>
void sum_all(View x, MutView y) {
  const T* in = x.data<T>();
  float* out = y.data<float>();
  channel_sums<1>(
      1, x.numel(), 1,
      [=] __device__(std::int64_t, std::int64_t i, std::int64_t, double* sum) {
        sum[0] += static_cast<double>(value_of(in[i]));
      },
      [=] __device__(std::int64_t, const double* sum) { out[0] = static_cast<float>(sum[0]); });
}

// y[c] = sum of x[...,c]
template <class T>
void sum_rows(View x, MutView y) {
  const std::int64_t channels = y.numel(), rows = channels == 0 ? 0 : x.numel() / channels;
  const T* in = x.data<T>();
  float* out = y.data<float>();
  channel_sums<1>(
      1, rows, channels,
      [=] __device__(std::int64_t, std::int64_t i, std::int64_t c, double* sum) {
        sum[0] += static_cast<double>(value_of(in[i * channels + c]));
      },
      [=] __device__(std::int64_t c, const double* sum) { out[c] = static_cast<float>(sum[0]); });
}

template <class T>
void norm_fwd(const NormArgs& a, View x, MutView y) {
  const std::int64_t rows = rows_of(a.kind, x.shape), n = rows == 0 ? 0 : x.numel() / rows;
  const Scratch scratch(static_cast<std::size_t>(rows) * sizeof(double));
  double* norms = scratch.as<double>();
  row_norms(a.kind == NormKind::l1, rows, n, x.data<T>(), norms);
  T* out = y.data<T>();
  channel_sums<1>(
      1, rows, 1,
      [=] __device__(std::int64_t, std::int64_t row, std::int64_t, double* sum) { sum[0] += norms[row]; },
      [=] __device__(std::int64_t, const double* sum) { out[0] = static_cast<T>(sum[0]); });
}

// l1: dx = dy * sign(x).   l2, l12: dx = dy * x / (the norm of x's row), or 0 if that norm is 0.
template <class T>
void norm_bwd(const NormArgs& a, View x, View dy, MutView dx) {
  const bool l1 = a.kind == NormKind::l1;
  const std::int64_t rows = rows_of(a.kind, x.shape), n = rows == 0 ? 0 : x.numel() / rows;
  const Scratch scratch(static_cast<std::size_t>(rows) * sizeof(double));
  double* norms = scratch.as<double>();
  if (!l1) row_norms(false, rows, n, x.data<T>(), norms);
  const T *in = x.data<T>(), *grad = dy.data<T>();
  T* out = dx.data<T>();
  each_in_rows(rows, n, [=] __device__(std::int64_t row, std::int64_t j) {
    const double v = static_cast<double>(in[row * n + j]), norm = l1 ? 1 : norms[row];
    const double direction = l1 ? (v > 0) - (v < 0) : norm == 0 ? 0 : v / norm;
    out[row * n + j] = static_cast<T>(static_cast<double>(grad[0]) * direction);
  });
}

REPRISE_CUDA_IMAGE_KERNEL(sum_all);
REPRISE_CUDA_IMAGE_KERNEL(sum_rows);
REPRISE_CUDA_KERNEL(norm_fwd);
REPRISE_CUDA_KERNEL(norm_bwd);

}  // namespace reprise::kernels::cuda
