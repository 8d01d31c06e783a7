// Batch normalisation. Sums: f32 within a chunk of rows, double over the chunks, in their order.
#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/core/parallel.h"
#include "engine/kernels/cpu/chunks.h"
#include "engine/kernels/cpu/leaf/batch_norm.h"
#include "engine/kernels/cpu/leaf/elementwise.h"
#include "engine/kernels/cpu/leaf/reduce.h"
#include "engine/kernels/kernels.h"

namespace reprise::kernels::cpu {
namespace {

constexpr std::int64_t chunk_elements = 1 << 16;  // 256 KiB: a second look at a chunk finds it in cache

GroupChunks chunks_of(const Shape& x, const Shape& statistics) {
  return {x.numel(), statistics.numel() / std::max<std::int64_t>(1, x[-1]), x[-1], chunk_elements};
}

// One value per group and channel.
std::vector<float> per_channel(std::int64_t n) {
  return std::vector<float>(static_cast<std::size_t>(n));
}

double inverse_std(View var, std::int64_t k, double eps) {
  return 1 / std::sqrt(static_cast<double>(var.data<float>()[k]) + eps);
}

// Calls f(k) for each of n statistics, each a sum over many chunks.
template <class F>
void each_statistic(std::int64_t n, F f) {
  parallel_for(n, 64, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t k = begin; k < end; ++k) f(k);
  });
}

}  // namespace

// Each chunk gives its own mean m and the moments around it, and these are joined in double (Chan, Golub and
// LeVeque, 1979). The first moment around m mends the rounding of m.
template <>
void batch_norm_stats<float>(View x, MutView mean, MutView var) {
  const GroupChunks z = chunks_of(x.shape, mean.shape);
  const std::int64_t c = z.channels;
  std::vector<float> parts = per_channel(z.total() * 3 * c);  // of each chunk: m, sum (x - m), sum (x - m)^2
  parallel_for(z.total(), 1, [&](std::int64_t k, std::int64_t) {
    const float* rows = x.data<float>() + z.begin(k) * c;
    float* m = parts.data() + k * 3 * c;
    reduce_leaf().sum_rows(rows, m, z.rows(k), c);
    for (std::int64_t i = 0; i < c; ++i) m[i] /= static_cast<float>(z.rows(k));
    batch_norm_leaf().moments(rows, m, m + c, m + 2 * c, z.rows(k), c);
  });
  each_statistic(mean.numel(), [&](std::int64_t s) {
    const float* p = parts.data() + s / c * z.chunks * 3 * c + s % c;
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

// y = (x - mean) * (gamma * inverse_std) + beta. Not folded to x * scale + shift, which loses digits where
// the mean is large.
template <>
void batch_norm_fwd<float>(const BatchNormArgs& a, View x, View mean, View var, View gamma, View beta,
                           MutView y) {
  const GroupChunks z = chunks_of(x.shape, mean.shape);
  std::vector<float> scale = per_channel(mean.numel());
  for (std::int64_t k = 0; k < mean.numel(); ++k)
    scale[static_cast<std::size_t>(k)] =
        static_cast<float>(static_cast<double>(gamma.data<float>()[k]) * inverse_std(var, k, a.eps));
  parallel_for(z.total(), 1, [&](std::int64_t k, std::int64_t) {
    const std::int64_t at = z.begin(k) * z.channels, s = z.group(k) * z.channels;
    batch_norm_leaf().normalize(x.data<float>() + at, mean.data<float>() + s, scale.data() + s,
                                beta.data<float>() + s, y.data<float>() + at, z.rows(k), z.channels);
  });
}

template <>
void batch_norm_bwd_params<float>(const BatchNormArgs& a, View x, View dy, View mean, View var,
                                  MutView dgamma, MutView dbeta) {
  const GroupChunks z = chunks_of(x.shape, mean.shape);
  const std::int64_t c = z.channels;
  std::vector<float> parts = per_channel(z.total() * 2 * c);
  parallel_for(z.total(), 1, [&](std::int64_t k, std::int64_t) {
    const std::int64_t at = z.begin(k) * c;
    float* sums = parts.data() + k * 2 * c;
    batch_norm_leaf().grad_sums(x.data<float>() + at, dy.data<float>() + at,
                                mean.data<float>() + z.group(k) * c, sums, sums + c, z.rows(k), c);
  });
  each_statistic(mean.numel(), [&](std::int64_t s) {
    const float* p = parts.data() + s / c * z.chunks * 2 * c + s % c;
    double sum = 0, products = 0;
    for (std::int64_t k = 0; k < z.chunks; ++k, p += 2 * c) {
      sum += static_cast<double>(p[0]);
      products += static_cast<double>(p[c]);
    }
    dbeta.data<float>()[s] = static_cast<float>(sum);
    dgamma.data<float>()[s] = static_cast<float>(products * inverse_std(var, s, a.eps));
  });
}

// dx = gamma * inverse_std * ((dy - dbeta / M) - (x - mean) * (inverse_std * dgamma / M))
template <>
void batch_norm_bwd_train<float>(const BatchNormArgs& a, View x, View dy, View mean, View var, View gamma,
                                 View dgamma, View dbeta, MutView dx) {
  const GroupChunks z = chunks_of(x.shape, mean.shape);
  const std::int64_t n = mean.numel();
  const double count = static_cast<double>(z.group_rows);
  std::vector<float> values = per_channel(3 * n);  // grad_mean, slope, scale
  for (std::int64_t k = 0; k < n; ++k) {
    const double inverse = inverse_std(var, k, a.eps);
    float* v = values.data() + k;
    v[0] = static_cast<float>(static_cast<double>(dbeta.data<float>()[k]) / count);
    v[n] = static_cast<float>(inverse * static_cast<double>(dgamma.data<float>()[k]) / count);
    v[2 * n] = static_cast<float>(static_cast<double>(gamma.data<float>()[k]) * inverse);
  }
  parallel_for(z.total(), 1, [&](std::int64_t k, std::int64_t) {
    const std::int64_t at = z.begin(k) * z.channels, s = z.group(k) * z.channels;
    const float* v = values.data() + s;
    batch_norm_leaf().grad_input(x.data<float>() + at, dy.data<float>() + at, mean.data<float>() + s, v,
                                 v + n, v + 2 * n, dx.data<float>() + at, z.rows(k), z.channels);
  });
}

template <>
void batch_norm_bwd_eval<float>(const BatchNormArgs& a, View dy, View var, View gamma, MutView dx) {
  const GroupChunks z = chunks_of(dy.shape, var.shape);
  std::vector<float> scale = per_channel(var.numel());
  for (std::int64_t k = 0; k < var.numel(); ++k)
    scale[static_cast<std::size_t>(k)] =
        static_cast<float>(static_cast<double>(gamma.data<float>()[k]) * inverse_std(var, k, a.eps));
  parallel_for(z.total(), 1, [&](std::int64_t k, std::int64_t) {
    const std::int64_t at = z.begin(k) * z.channels;
    elementwise_leaf().binary_channel(BinaryOp::mul, dy.data<float>() + at,
                                      scale.data() + z.group(k) * z.channels, dx.data<float>() + at,
                                      z.rows(k), z.channels);
  });
}

// A few numbers per channel: nothing to gain from vectors.
template <>
void batch_norm_update<float>(const BatchNormArgs& a, std::int64_t count, View mean, View var,
                              MutView running_mean, MutView running_var) {
  const float keep = static_cast<float>(1 - a.momentum), take = static_cast<float>(a.momentum);
  const float unbiased = static_cast<float>(static_cast<double>(count) / static_cast<double>(count - 1));
  for (std::int64_t k = 0; k < mean.numel(); ++k) {
    float& m = running_mean.data<float>()[k];
    float& v = running_var.data<float>()[k];
    m = keep * m + take * mean.data<float>()[k];
    v = keep * v + take * (var.data<float>()[k] * unbiased);
  }
}

}  // namespace reprise::kernels::cpu
