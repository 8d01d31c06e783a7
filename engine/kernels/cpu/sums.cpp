#include "engine/kernels/cpu/sums.h"

#include <algorithm>
#include <cmath>

#include "engine/core/parallel.h"
#include "engine/kernels/cpu/leaf/batch_norm.h"
#include "engine/kernels/cpu/leaf/reduce.h"
#include "engine/kernels/cpu/scratch.h"

namespace reprise::kernels::cpu {
namespace {

// Calls f(k) for each of n sums over many chunks.
template <class F>
void each_sum(std::int64_t n, F f) {
  parallel_for(n, 64, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t k = begin; k < end; ++k) f(k);
  });
}

double inverse_std(View var, std::int64_t k, double eps) {
  return 1 / std::sqrt(static_cast<double>(var.data<float>()[k]) + eps);
}

}  // namespace

float* partial_sums(std::int64_t floats) {
  return scratch(3, static_cast<std::size_t>(floats));
}

void join_sums(const GroupChunks& z, const float* partial, std::int64_t n, float* out) {
  each_sum(z.groups * n, [&](std::int64_t s) {
    const float* p = partial + s / n * z.chunks * n + s % n;
    double sum = 0;
    for (std::int64_t k = 0; k < z.chunks; ++k) sum += static_cast<double>(p[k * n]);
    out[s] = static_cast<float>(sum);
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

void join_moments(const GroupChunks& z, const float* parts, MutView mean, MutView var) {
  const std::int64_t c = z.channels;
  each_sum(mean.numel(), [&](std::int64_t s) {
    const float* p = parts + s / c * z.chunks * 3 * c + s % c;
    double count = 0, middle = 0, squares = 0;
    for (std::int64_t k = 0; k < z.chunks; ++k, p += 3 * c) {
      const double n = static_cast<double>(z.rows(s / c * z.chunks + k)), first = static_cast<double>(p[c]);
      const double delta = static_cast<double>(p[0]) + first / n - middle;
      squares +=
          static_cast<double>(p[2 * c]) - first * first / n + delta * delta * (count * n / (count + n));
      count += n;
      middle += delta * (n / count);
    }
    mean.data<float>()[s] = static_cast<float>(middle);
    var.data<float>()[s] = static_cast<float>(std::max(0.0, squares / count));
  });
}

void join_gradient_sums(const GroupChunks& z, const float* parts, double eps, View var, MutView dgamma,
                        MutView dbeta) {
  const std::int64_t c = z.channels;
  each_sum(dgamma.numel(), [&](std::int64_t s) {
    const float* p = parts + s / c * z.chunks * 2 * c + s % c;
    double sum = 0, products = 0;
    for (std::int64_t k = 0; k < z.chunks; ++k, p += 2 * c) {
      sum += static_cast<double>(p[0]);
      products += static_cast<double>(p[c]);
    }
    dbeta.data<float>()[s] = static_cast<float>(sum);
    dgamma.data<float>()[s] = static_cast<float>(products * inverse_std(var, s, eps));
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
