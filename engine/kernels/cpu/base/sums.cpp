#include "engine/kernels/cpu/base/sums.h"

#include <algorithm>
#include <cmath>

#include "engine/base/parallel.h"
#include "engine/kernels/cpu/base/scratch.h"
#include "engine/kernels/cpu/leaf/batch_norm.h"
#include "engine/kernels/cpu/leaf/reduce.h"

namespace reprise::kernels::cpu {
namespace {

// The number of neighbouring sums that are joined together: memory is read in runs, by vectors.
constexpr std::int64_t strip = 64;

// Calls f(first, count) for each strip of the n sums, on all threads.
template <class F>
void each_strip(std::int64_t n, F f) {
  parallel_for(div_up(n, strip), 1,
               [&](std::int64_t k, std::int64_t) { f(k * strip, std::min(strip, n - k * strip)); });
}

double inverse_std(View var, std::int64_t k, double eps) {
  return 1 / std::sqrt(static_cast<double>(var.data<float>()[k]) + eps);
}

}  // namespace

float* partial_sums(std::int64_t floats) {
  return scratch(Scratch::sums, static_cast<std::size_t>(floats));
}

void join_sums(const Chunks& z, const float* partial, std::int64_t n, float* out) {
  each_strip(n, [&](std::int64_t first, std::int64_t count) {
    const float* p = partial + first;
    double sum[strip] = {};
    for (std::int64_t k = 0; k < z.count; ++k, p += n)
      for (std::int64_t i = 0; i < count; ++i) sum[i] += static_cast<double>(p[i]);
    for (std::int64_t i = 0; i < count; ++i) out[first + i] = static_cast<float>(sum[i]);
  });
}

template <class T>
void chunk_moments(const T* x, std::int64_t rows, std::int64_t channels, float* m) {
  reduce_leaf<T>().sum_rows(x, m, rows, channels);
  for (std::int64_t i = 0; i < channels; ++i) m[i] /= static_cast<float>(rows);
  batch_norm_leaf<T>().moments(x, m, m + channels, m + 2 * channels, rows, channels);
}
template void chunk_moments<float>(const float*, std::int64_t, std::int64_t, float*);
template void chunk_moments<BFloat16>(const BFloat16*, std::int64_t, std::int64_t, float*);

void join_moments(const Chunks& z, const float* parts, MutView mean, MutView var) {
  const std::int64_t c = z.channels;
  each_strip(c, [&](std::int64_t first, std::int64_t count) {
    const float* p = parts + first;
    double rows = 0, middle[strip] = {}, squares[strip] = {};
    for (std::int64_t k = 0; k < z.count; ++k, p += 3 * c) {
      const double n = static_cast<double>(z.rows(k)), both = rows * n / (rows + n), share = n / (rows + n);
      for (std::int64_t i = 0; i < count; ++i) {
        const double sum = static_cast<double>(p[c + i]),
                     delta = static_cast<double>(p[i]) + sum / n - middle[i];
        squares[i] += static_cast<double>(p[2 * c + i]) - sum * sum / n + delta * delta * both;
        middle[i] += delta * share;
      }
      rows += n;
    }
    for (std::int64_t i = 0, s = first; i < count; ++i, ++s) {
      mean.data<float>()[s] = static_cast<float>(middle[i]);
      var.data<float>()[s] = static_cast<float>(std::max(0.0, squares[i] / rows));
    }
  });
}

void join_gradient_sums(const Chunks& z, const float* parts, double eps, View var, MutView dgamma,
                        MutView dbeta) {
  const std::int64_t c = z.channels;
  each_strip(c, [&](std::int64_t first, std::int64_t count) {
    const float* p = parts + first;
    double sum[strip] = {}, products[strip] = {};
    for (std::int64_t k = 0; k < z.count; ++k, p += 2 * c)
      for (std::int64_t i = 0; i < count; ++i) {
        sum[i] += static_cast<double>(p[i]);
        products[i] += static_cast<double>(p[c + i]);
      }
    for (std::int64_t i = 0, s = first; i < count; ++i, ++s) {
      dbeta.data<float>()[s] = static_cast<float>(sum[i]);
      dgamma.data<float>()[s] = static_cast<float>(products[i] * inverse_std(var, s, eps));
    }
  });
}

std::vector<float> normal_scale(View gamma, View var, double eps) {
  std::vector<float> scale(static_cast<std::size_t>(var.numel()));
  for (std::int64_t k = 0; k < var.numel(); ++k)
    scale[static_cast<std::size_t>(k)] =
        static_cast<float>(static_cast<double>(gamma.data<float>()[k]) * inverse_std(var, k, eps));
  return scale;
}

InputGradient input_gradient(View dgamma, View dbeta, View var, std::int64_t pixels, double eps) {
  const double count = static_cast<double>(pixels);
  InputGradient g;
  for (std::int64_t k = 0; k < var.numel(); ++k) {
    g.grad_mean.push_back(static_cast<float>(static_cast<double>(dbeta.data<float>()[k]) / count));
    g.slope.push_back(
        static_cast<float>(inverse_std(var, k, eps) * static_cast<double>(dgamma.data<float>()[k]) / count));
  }
  return g;
}

}  // namespace reprise::kernels::cpu
