// Batch norm of V neighbouring channels, forward and backward. Plain and fused kernels share it,
// and so its bits. What depends on the channel only is computed once, by the constructor.
#pragma once

#include <cuda_runtime.h>

namespace reprise::kernels::cuda {

// y = (x - mean) * (gamma / sqrt(var + eps)) + beta, for the channels from c on that exist
template <int V>
struct Normalized {
  float mean[V], scale[V], shift[V];
  __device__ Normalized(const float* m, const float* var, const float* gamma, const float* beta, unsigned c,
                        unsigned channels, float eps) {
    for (unsigned v = 0; v < V; ++v) {
      const unsigned k = c + v < channels ? c + v : c;
      mean[v] = m[k];
      scale[v] = gamma[k] / sqrtf(var[k] + eps);
      shift[v] = beta[k];
    }
  }
  __device__ float operator()(float x, int v) const { return (x - mean[v]) * scale[v] + shift[v]; }
};

// dx = gamma / sqrt(var + eps) * (dy - dbeta / M - xhat * dgamma / M), if the statistics depend on
// x, with M values per channel. Without dgamma they are constants, and the terms after dy are 0.
template <int V>
struct InputGradient {
  float mean[V], invstd[V], scale[V], by_beta[V], by_gamma[V];
  // For the channels from c on. m, dbeta and later x are absent, or 0, if dgamma is absent.
  __device__ InputGradient(const float* m, const float* var, const float* gamma, const float* dgamma,
                           const float* dbeta, unsigned c, float count, float eps) {
    const bool constants = dgamma == nullptr;
    for (int v = 0; v < V; ++v) {
      const float deviation = sqrtf(var[c + v] + eps);
      invstd[v] = 1 / deviation;
      scale[v] = constants ? gamma[c + v] / deviation : gamma[c + v] * invstd[v];
      mean[v] = constants ? 0 : m[c + v];
      by_beta[v] = constants ? 0 : dbeta[c + v] / count;
      by_gamma[v] = constants ? 0 : dgamma[c + v] / count;
    }
  }
  __device__ float operator()(float x, float dy, int v) const {
    const float xhat = (x - mean[v]) * invstd[v];
    return scale[v] * (dy - by_beta[v] - xhat * by_gamma[v]);
  }
};

// How many channels a thread takes where it also slides a filter, if they are a multiple.
inline constexpr int statistics_channels = 4;

// Adds one value to the sums from which finish_statistics computes mean and variance. A float's
// square is exact in double, and the cancellation in var costs less than rounding x to float did.
__device__ inline void add_to_statistics(float x, double* sum) {
  const double d = static_cast<double>(x);
  sum[0] += d;
  sum[1] = fma(d, d, sum[1]);
}
// mean = sum x / M,   var = sum x^2 / M - mean^2
__device__ inline void finish_statistics(const double* sum, double count, float& mean, float& var) {
  const double m = sum[0] / count, v = sum[1] / count - m * m;
  mean = static_cast<float>(m);
  var = static_cast<float>(v < 0 ? 0 : v);  // rounding may make v negative; NaN stays NaN
}

// Adds one value to the sums from which finish_gradients computes dgamma and dbeta.
__device__ inline void add_to_gradients(float x, float dy, float mean, double* sum) {
  const double d = static_cast<double>(dy);
  sum[0] = fma(d, static_cast<double>(x) - static_cast<double>(mean), sum[0]);
  sum[1] += d;
}
__device__ inline void finish_gradients(const double* sum, float var, double eps, float& dgamma,
                                        float& dbeta) {
  dgamma = static_cast<float>(sum[0] / sqrt(static_cast<double>(var) + eps));
  dbeta = static_cast<float>(sum[1]);
}

}  // namespace reprise::kernels::cuda
