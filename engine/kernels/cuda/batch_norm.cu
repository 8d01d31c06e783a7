// Batch norm per channel, defined in ../ref/batch_norm.cpp. Sums are taken in double.
//   y = (x - mean) / sqrt(var + eps) * gamma + beta
#include "engine/kernels/cuda/launch.h"
#include "engine/kernels/cuda/statistics.h"

namespace reprise::kernels::cuda {
// mean = sum x / M,   var = sum (x - mean)^2 / M
// In one pass, with first = the channel's first value and d = x - first:
//   mean = first + sum d / M,   var = sum d^2 / M - (sum d / M)^2
template <class T>
void batch_norm_stats(View x, MutView mean, MutView var) {
  const std::int64_t channels = mean.numel(), count = x.numel() / channels;
  const T* in = x.data<T>();
  float *out_mean = mean.data<float>(), *out_var = var.data<float>();
  channel_sums<2>(
      1, count, channels,
      [=] __device__(std::int64_t, std::int64_t i, std::int64_t c, double* sum) {
        const double d =
            static_cast<double>(value_of(in[i * channels + c])) - static_cast<double>(value_of(in[c]));
        sum[0] += d;
        sum[1] += d * d;
      },
      [=] __device__(std::int64_t c, const double* sum) {
        const double m = sum[0] / static_cast<double>(count);
        const double v = sum[1] / static_cast<double>(count) - m * m;
        out_mean[c] = static_cast<float>(static_cast<double>(value_of(in[c])) + m);
        out_var[c] = static_cast<float>(v < 0 ? 0 : v);  // rounding may make v negative; NaN stays NaN
      });
}

template <class T>
void batch_norm_fwd(const BatchNormArgs& a, View x, View mean, View var, View gamma, View beta, MutView y) {
  const std::int64_t channels = mean.numel();
  const float eps = static_cast<float>(a.eps);
  const T* in = x.data<T>();
  const float *m = mean.data<float>(), *v = var.data<float>(), *scale = gamma.data<float>(),
              *shift = beta.data<float>();
  T* out = y.data<T>();
  each_in_rows(x.numel() / channels, channels, [=] __device__(std::int64_t row, std::int64_t c) {
    const std::int64_t i = row * channels + c;
    store(out[i], normalized(value_of(in[i]), m[c], v[c], scale[c], shift[c], eps));
  });
}

// dgamma = sum dy * xhat,   dbeta = sum dy,   xhat = (x - mean) / sqrt(var + eps)
template <class T>
void batch_norm_bwd_params(const BatchNormArgs& a, View x, View dy, View mean, View var, MutView dgamma,
                           MutView dbeta) {
  const std::int64_t channels = mean.numel();
  const double eps = a.eps;
  const T *in = x.data<T>(), *grad = dy.data<T>();
  const float *m = mean.data<float>(), *v = var.data<float>();
  float *out_gamma = dgamma.data<float>(), *out_beta = dbeta.data<float>();
  channel_sums<2>(
      1, x.numel() / channels, channels,
      [=] __device__(std::int64_t, std::int64_t i, std::int64_t c, double* sum) {
        const std::int64_t at = i * channels + c;
        const double d = static_cast<double>(value_of(grad[at]));
        sum[0] += d * (static_cast<double>(value_of(in[at])) - static_cast<double>(m[c]));
        sum[1] += d;
      },
      [=] __device__(std::int64_t c, const double* sum) {
        out_gamma[c] = static_cast<float>(sum[0] / sqrt(static_cast<double>(v[c]) + eps));
        out_beta[c] = static_cast<float>(sum[1]);
      });
}

// With the batch's statistics: dx = gamma / sqrt(var + eps) * (dy - dbeta / M - xhat * dgamma / M)
template <class T>
void batch_norm_bwd_train(const BatchNormArgs& a, View x, View dy, View mean, View var, View gamma,
                          View dgamma, View dbeta, MutView dx) {
  const std::int64_t channels = mean.numel(), rows = x.numel() / channels;
  const float eps = static_cast<float>(a.eps), count = static_cast<float>(rows);
  const T *in = x.data<T>(), *grad = dy.data<T>();
  const float *m = mean.data<float>(), *v = var.data<float>(), *scale = gamma.data<float>(),
              *sum_gamma = dgamma.data<float>(), *sum_beta = dbeta.data<float>();
  T* out = dx.data<T>();
  each_in_rows(rows, channels, [=] __device__(std::int64_t row, std::int64_t c) {
    const std::int64_t i = row * channels + c;
    store(out[i], input_gradient(value_of(in[i]), value_of(grad[i]), m[c], v[c], scale[c], sum_gamma[c],
                                 sum_beta[c], count, eps));
  });
}

// With constant statistics: dx = gamma / sqrt(var + eps) * dy
template <class T>
void batch_norm_bwd_eval(const BatchNormArgs& a, View dy, View var, View gamma, MutView dx) {
  const std::int64_t channels = var.numel();
  const float eps = static_cast<float>(a.eps);
  const T* grad = dy.data<T>();
  const float *v = var.data<float>(), *scale = gamma.data<float>();
  T* out = dx.data<T>();
  each_in_rows(dy.numel() / channels, channels, [=] __device__(std::int64_t row, std::int64_t c) {
    const std::int64_t i = row * channels + c;
    store(out[i], value_of(grad[i]) * (scale[c] / sqrtf(v[c] + eps)));
  });
}

template <class T>
void update_running_stats(const BatchNormArgs& a, std::int64_t count, View mean, View var,
                          MutView running_mean, MutView running_var) {
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
REPRISE_CUDA_KERNEL(update_running_stats);

}  // namespace reprise::kernels::cuda
