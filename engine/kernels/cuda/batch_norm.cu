// Batch norm per channel, defined in ../ref/batch_norm.cpp. Sums are taken in double.
//   y = (x - mean) / sqrt(var + eps) * gamma + beta
#include "engine/kernels/cuda/statistics.h"
#include "engine/kernels/cuda/windows.h"

namespace reprise::kernels::cuda {
namespace {

// Takes the sums strip by strip, in the order of the fused kernel, which computes x in strips.
template <class T, int V>
void stats(View x, MutView mean, MutView var) {
  const bool image = x.shape.rank() == 4;
  const std::int64_t channels = mean.numel(), pixels = x.numel() / channels;
  const Strips strips =
      image ? Strips(x.dim(0), x.dim(1), x.dim(2), channels / V) : Strips(pixels, 1, 1, channels / V);
  const double count = static_cast<double>(pixels);
  const T* in = x.data<T>();
  float *out_mean = mean.data<float>(), *out_var = var.data<float>();
  column_sums<2, V>(
      1, strips.count, channels / V,
      [=] __device__(unsigned, unsigned column) {
        return [=](std::int64_t i, double* sum) {
          const auto strip = strips.at(i);
          const T* at = in + strips.pixel(strip, strip.first) * channels + column * V;
          for (unsigned p = strip.first; p < strip.last; ++p, at += strips.width * channels) {
            const auto values = load_vector<V>(at);
            for (int v = 0; v < V; ++v) add_to_statistics(values[v], sum + 2 * v);
          }
        };
      },
      [=] __device__(std::int64_t c, const double* sum) {
        finish_statistics(sum, count, out_mean[c], out_var[c]);
      });
}

}  // namespace

// mean = sum x / M,   var = sum (x - mean)^2 / M
template <class T>
void batch_norm_stats(View x, MutView mean, MutView var) {
  constexpr int V = statistics_channels;
  fit_vectors<V>(mean.numel(), x.data<T>()) ? stats<T, V>(x, mean, var) : stats<T, 1>(x, mean, var);
}

// The rest is a block without its convolution, filter, residual and ReLU.
template <class T>
void batch_norm_fwd(const BatchNormArgs& a, View x, View mean, View var, View gamma, View beta, MutView y) {
  conv_block_fwd<T>({.eps = a.eps, .activation = Activation::none}, {x, {}, {}, mean, var, gamma, beta, {}},
                    {{}, y, {}});
}

template <class T>
void batch_norm_bwd_params(const BatchNormArgs& a, View x, View dy, View mean, View var, MutView dgamma,
                           MutView dbeta) {
  conv_block_bwd_params<T>({.eps = a.eps}, {x, {}, dy, {}, mean, var}, {dgamma, dbeta});
}

template <class T>
void batch_norm_bwd_train(const BatchNormArgs& a, View x, View dy, View mean, View var, View gamma,
                          View dgamma, View dbeta, MutView dx) {
  conv_block_bwd<T>({.eps = a.eps}, false, {x, {}, {}, {}, dy, {}, mean, var, gamma, dgamma, dbeta},
                    {dx, {}, {}});
}

template <class T>
void batch_norm_bwd_eval(const BatchNormArgs& a, View dy, View var, View gamma, MutView dx) {
  batch_norm_bwd_train<T>(a, {}, dy, {}, var, gamma, {}, {}, dx);
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
