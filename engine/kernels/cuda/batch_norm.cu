// y = (x - mean) / sqrt(var + eps) * gamma + beta, per task group and channel; ../ref/batch_norm.cpp defines
// it. Sums are taken in double.
#include "engine/kernels/cuda/launch.h"
#include "engine/kernels/cuda/statistics.h"

namespace reprise::kernels::cuda {
// mean = sum x / M;   var = sum (x - mean)^2 / M. In one pass: with d = x - (the channel's first value),
// mean = first + sum d / M and var = sum d^2 / M - (sum d / M)^2.
template <class T>
void batch_norm_stats(View x, MutView mean, MutView var) {
  const Groups g(x.shape, mean.shape);
  const T* in = x.data<T>();
  float *out_mean = mean.data<float>(), *out_var = var.data<float>();
  channel_sums<2>(
      g.groups, g.count, g.channels,
      [=] __device__(std::int64_t t, std::int64_t i, std::int64_t c, double* sum) {
        const std::int64_t first = t * g.count * g.channels + c;
        const double d = static_cast<double>(value_of(in[first + i * g.channels])) -
                         static_cast<double>(value_of(in[first]));
        sum[0] += d;
        sum[1] += d * d;
      },
      [=] __device__(std::int64_t k, const double* sum) {
        const std::int64_t first = k / g.channels * g.count * g.channels + k % g.channels;
        const double m = sum[0] / static_cast<double>(g.count);
        const double v = sum[1] / static_cast<double>(g.count) - m * m;
        out_mean[k] = static_cast<float>(static_cast<double>(value_of(in[first])) + m);
        out_var[k] = static_cast<float>(v < 0 ? 0 : v);  // rounding alone makes it negative; NaN stays
      });
}

template <class T>
void batch_norm_fwd(const BatchNormArgs& a, View x, View mean, View var, View gamma, View beta, MutView y) {
  const Groups g(x.shape, mean.shape);
  const float eps = static_cast<float>(a.eps);
  const T* in = x.data<T>();
  const float *m = mean.data<float>(), *v = var.data<float>(), *scale = gamma.data<float>(),
              *shift = beta.data<float>();
  T* out = y.data<T>();
  each_in_rows(g.groups * g.count, g.channels, [=] __device__(std::int64_t row, std::int64_t c) {
    const std::int64_t i = row * g.channels + c, k = g.of(row, c);
    store(out[i], normalized(value_of(in[i]), m[k], v[k], scale[k], shift[k], eps));
  });
}

// dgamma = sum dy * xhat,   dbeta = sum dy,   xhat = (x - mean) / sqrt(var + eps)
template <class T>
void batch_norm_bwd_params(const BatchNormArgs& a, View x, View dy, View mean, View var, MutView dgamma,
                           MutView dbeta) {
  const Groups g(x.shape, mean.shape);
  const double eps = a.eps;
  const T *in = x.data<T>(), *grad = dy.data<T>();
  const float *m = mean.data<float>(), *v = var.data<float>();
  float *out_gamma = dgamma.data<float>(), *out_beta = dbeta.data<float>();
  channel_sums<2>(
      g.groups, g.count, g.channels,
      [=] __device__(std::int64_t t, std::int64_t i, std::int64_t c, double* sum) {
        const std::int64_t at = (t * g.count + i) * g.channels + c;
        const double d = static_cast<double>(value_of(grad[at]));
        sum[0] += d * (static_cast<double>(value_of(in[at])) - static_cast<double>(m[t * g.channels + c]));
        sum[1] += d;
      },
      [=] __device__(std::int64_t k, const double* sum) {
        out_gamma[k] = static_cast<float>(sum[0] / sqrt(static_cast<double>(v[k]) + eps));
        out_beta[k] = static_cast<float>(sum[1]);
      });
}

// The statistics depend on x: dx = gamma / sqrt(var + eps) * (dy - dbeta / M - xhat * dgamma / M)
template <class T>
void batch_norm_bwd_train(const BatchNormArgs& a, View x, View dy, View mean, View var, View gamma,
                          View dgamma, View dbeta, MutView dx) {
  const Groups g(x.shape, mean.shape);
  const float eps = static_cast<float>(a.eps), count = static_cast<float>(g.count);
  const T *in = x.data<T>(), *grad = dy.data<T>();
  const float *m = mean.data<float>(), *v = var.data<float>(), *scale = gamma.data<float>(),
              *sum_gamma = dgamma.data<float>(), *sum_beta = dbeta.data<float>();
  T* out = dx.data<T>();
  each_in_rows(g.groups * g.count, g.channels, [=] __device__(std::int64_t row, std::int64_t c) {
    const std::int64_t i = row * g.channels + c, k = g.of(row, c);
    store(out[i], input_gradient(value_of(in[i]), value_of(grad[i]), m[k], v[k], scale[k], sum_gamma[k],
                                 sum_beta[k], count, eps));
  });
}

// The statistics are constants: dx = gamma / sqrt(var + eps) * dy
template <class T>
void batch_norm_bwd_eval(const BatchNormArgs& a, View dy, View var, View gamma, MutView dx) {
  const Groups g(dy.shape, var.shape);
  const float eps = static_cast<float>(a.eps);
  const T* grad = dy.data<T>();
  const float *v = var.data<float>(), *scale = gamma.data<float>();
  T* out = dx.data<T>();
  each_in_rows(g.groups * g.count, g.channels, [=] __device__(std::int64_t row, std::int64_t c) {
    const std::int64_t i = row * g.channels + c, k = g.of(row, c);
    store(out[i], value_of(grad[i]) * (scale[k] / sqrtf(v[k] + eps)));
  });
}

template <class T>
void batch_norm_update(const BatchNormArgs& a, std::int64_t count, View mean, View var, MutView running_mean,
                       MutView running_var) {
  const T keep = static_cast<T>(1 - a.momentum), take = static_cast<T>(a.momentum);
  const T unbiased = static_cast<T>(static_cast<double>(count) / static_cast<double>(count - 1));
  const T *m = mean.data<T>(), *v = var.data<T>();
  T *to_mean = running_mean.data<T>(), *to_var = running_var.data<T>();
  each_element(mean.numel(), [=] __device__(std::int64_t k) {
    to_mean[k] = keep * to_mean[k] + take * m[k];
    to_var[k] = keep * to_var[k] + take * (v[k] * unbiased);
  });
}

REPRISE_CUDA_IMAGE_KERNEL(batch_norm_stats);
REPRISE_CUDA_IMAGE_KERNEL(batch_norm_fwd);
REPRISE_CUDA_IMAGE_KERNEL(batch_norm_bwd_params);
REPRISE_CUDA_IMAGE_KERNEL(batch_norm_bwd_train);
REPRISE_CUDA_IMAGE_KERNEL(batch_norm_bwd_eval);
REPRISE_CUDA_KERNEL(batch_norm_update);

}  // namespace reprise::kernels::cuda
