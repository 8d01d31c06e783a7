// Batch normalisation, per channel over its M values. Sums are taken in double.
//   xhat = (x - mean) / sqrt(var + eps),   y = xhat * gamma + beta
#include <cmath>

#include "engine/kernels/ref/loops.h"

namespace reprise::kernels::ref {
// mean = sum x / M,   var = sum (x - mean)^2 / M
template <class T>
void batch_norm_stats(View x, MutView mean, MutView var) {
  const std::int64_t channels = mean.numel(), count = x.numel() / channels;
  each_output(channels, 2 * count, [&](std::int64_t k) {
    const T* values = x.data<T>() + k;
    double sum = 0, squares = 0;
    for (std::int64_t i = 0; i < count; ++i) sum += static_cast<double>(values[i * channels]);
    const double m = sum / static_cast<double>(count);
    for (std::int64_t i = 0; i < count; ++i) {
      const double d = static_cast<double>(values[i * channels]) - m;
      squares += d * d;
    }
    mean.data<T>()[k] = static_cast<T>(m);
    var.data<T>()[k] = static_cast<T>(squares / static_cast<double>(count));
  });
}

template <class T>
void batch_norm_fwd(const BatchNormArgs& a, View x, View mean, View var, View gamma, View beta, MutView y) {
  const std::int64_t channels = gamma.numel();
  each_output(x.numel(), 4, [&](std::int64_t i) {
    const std::int64_t k = i % channels;
    const T scale = gamma.data<T>()[k] / std::sqrt(var.data<T>()[k] + static_cast<T>(a.eps));
    y.data<T>()[i] = (x.data<T>()[i] - mean.data<T>()[k]) * scale + beta.data<T>()[k];
  });
}

// dgamma = sum dy * xhat,   dbeta = sum dy
template <class T>
void batch_norm_bwd_params(const BatchNormArgs& a, View x, View dy, View mean, View var, MutView dgamma,
                           MutView dbeta) {
  const std::int64_t channels = mean.numel(), count = x.numel() / channels;
  each_output(channels, 2 * count, [&](std::int64_t k) {
    const T* values = x.data<T>() + k;
    const T* grads = dy.data<T>() + k;
    const double m = static_cast<double>(mean.data<T>()[k]);
    double products = 0, sum = 0;
    for (std::int64_t i = 0; i < count; ++i) {
      const double d = static_cast<double>(grads[i * channels]);
      products += d * (static_cast<double>(values[i * channels]) - m);
      sum += d;
    }
    dgamma.data<T>()[k] = static_cast<T>(products / std::sqrt(static_cast<double>(var.data<T>()[k]) + a.eps));
    dbeta.data<T>()[k] = static_cast<T>(sum);
  });
}

// With x's own statistics: dx = gamma / sqrt(var + eps) * (dy - dbeta / M - xhat * dgamma / M)
template <class T>
void batch_norm_bwd_train(const BatchNormArgs& a, View x, View dy, View mean, View var, View gamma,
                          View dgamma, View dbeta, MutView dx) {
  const std::int64_t channels = gamma.numel();
  const T count = static_cast<T>(x.numel() / channels);
  each_output(x.numel(), 8, [&](std::int64_t i) {
    const std::int64_t k = i % channels;
    const T invstd = 1 / std::sqrt(var.data<T>()[k] + static_cast<T>(a.eps));
    const T xhat = (x.data<T>()[i] - mean.data<T>()[k]) * invstd;
    const T centred = dy.data<T>()[i] - dbeta.data<T>()[k] / count - xhat * (dgamma.data<T>()[k] / count);
    dx.data<T>()[i] = gamma.data<T>()[k] * invstd * centred;
  });
}

// With constant statistics: dx = gamma / sqrt(var + eps) * dy
template <class T>
void batch_norm_bwd_eval(const BatchNormArgs& a, View dy, View var, View gamma, MutView dx) {
  const std::int64_t channels = gamma.numel();
  each_output(dy.numel(), 4, [&](std::int64_t i) {
    const std::int64_t k = i % channels;
    dx.data<T>()[i] =
        dy.data<T>()[i] * (gamma.data<T>()[k] / std::sqrt(var.data<T>()[k] + static_cast<T>(a.eps)));
  });
}

template <class T>
void update_running_stats(const BatchNormArgs& a, std::int64_t count, View mean, View var,
                          MutView running_mean, MutView running_var) {
  const T keep = static_cast<T>(1 - a.momentum), take = static_cast<T>(a.momentum);
  const T unbiased = static_cast<T>(static_cast<double>(count) / static_cast<double>(count - 1));
  each_output(mean.numel(), 4, [&](std::int64_t k) {
    T& m = running_mean.data<T>()[k];
    T& v = running_var.data<T>()[k];
    m = keep * m + take * mean.data<T>()[k];
    v = keep * v + take * (var.data<T>()[k] * unbiased);
  });
}

REPRISE_REF_KERNEL(batch_norm_stats);
REPRISE_REF_KERNEL(batch_norm_fwd);
REPRISE_REF_KERNEL(batch_norm_bwd_params);
REPRISE_REF_KERNEL(batch_norm_bwd_train);
REPRISE_REF_KERNEL(batch_norm_bwd_eval);
REPRISE_REF_KERNEL(update_running_stats);

}  // namespace reprise::kernels::ref
