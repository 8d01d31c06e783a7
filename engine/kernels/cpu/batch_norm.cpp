// Batch normalisation; its sums are in base/sums.h.
#include "engine/kernels/cpu/leaf/batch_norm.h"
#include "engine/base/parallel.h"
#include "engine/kernels/cpu/base/instantiate.h"
#include "engine/kernels/cpu/base/sums.h"
#include "engine/kernels/cpu/leaf/elementwise.h"
#include "engine/kernels/kernels.h"

namespace reprise::kernels::cpu {
namespace {

Chunks chunks_of(const Shape& x) {
  return x.rank() == 4 ? Chunks::of_images(x, sum_chunk) : Chunks(x.numel(), x[-1], sum_chunk);
}

}  // namespace

template <class T>
void batch_norm_stats(View x, MutView mean, MutView var) {
  const Chunks z = chunks_of(x.shape);
  const std::int64_t c = z.channels;
  float* parts = partial_sums(z.count * 3 * c);
  parallel_for(z.count, 1, [&](std::int64_t k, std::int64_t) {
    chunk_moments(x.data<T>() + z.begin(k) * c, z.rows(k), c, parts + k * 3 * c);
  });
  join_moments(z, parts, mean, var);
}

// y = (x - mean) * (gamma * inverse_std) + beta
// This is not folded to x * scale + shift, which loses digits where the mean is large.
template <class T>
void batch_norm_fwd(const BatchNormArgs& a, View x, View mean, View var, View gamma, View beta, MutView y) {
  const Chunks z = chunks_of(x.shape);
  const std::vector<float> scale = normal_scale(gamma, var, a.eps);
  parallel_for(z.count, 1, [&](std::int64_t k, std::int64_t) {
    const std::int64_t at = z.begin(k) * z.channels;
    batch_norm_leaf<T>().normalize(x.data<T>() + at, mean.data<float>(), scale.data(), beta.data<float>(),
                                   y.data<T>() + at, z.rows(k), z.channels);
  });
}

template <class T>
void batch_norm_bwd_params(const BatchNormArgs& a, View x, View dy, View mean, View var, MutView dgamma,
                           MutView dbeta) {
  const Chunks z = chunks_of(x.shape);
  const std::int64_t c = z.channels;
  float* parts = partial_sums(z.count * 2 * c);
  parallel_for(z.count, 1, [&](std::int64_t k, std::int64_t) {
    const std::int64_t at = z.begin(k) * c;
    float* sums = parts + k * 2 * c;
    batch_norm_leaf<T>().grad_sums(x.data<T>() + at, dy.data<T>() + at, mean.data<float>(), sums, sums + c,
                                   z.rows(k), c);
  });
  join_gradient_sums(z, parts, a.eps, var, dgamma, dbeta);
}

// dx = gamma * inverse_std * ((dy - dbeta / M) - (x - mean) * (inverse_std * dgamma / M))
template <class T>
void batch_norm_bwd_train(const BatchNormArgs& a, View x, View dy, View mean, View var, View gamma,
                          View dgamma, View dbeta, MutView dx) {
  const Chunks z = chunks_of(x.shape);
  const std::vector<float> scale = normal_scale(gamma, var, a.eps);
  const InputGradient g = input_gradient(dgamma, dbeta, var, z.all_rows, a.eps);
  parallel_for(z.count, 1, [&](std::int64_t k, std::int64_t) {
    const std::int64_t at = z.begin(k) * z.channels;
    batch_norm_leaf<T>().grad_input(x.data<T>() + at, dy.data<T>() + at, mean.data<float>(),
                                    g.grad_mean.data(), g.slope.data(), scale.data(), dx.data<T>() + at,
                                    z.rows(k), z.channels);
  });
}

template <class T>
void batch_norm_bwd_eval(const BatchNormArgs& a, View dy, View var, View gamma, MutView dx) {
  const Chunks z = chunks_of(dy.shape);
  const std::vector<float> scale = normal_scale(gamma, var, a.eps);
  parallel_for(z.count, 1, [&](std::int64_t k, std::int64_t) {
    const std::int64_t at = z.begin(k) * z.channels;
    elementwise_leaf<T>().binary_channel(BinaryOp::mul, dy.data<T>() + at, scale.data(), dx.data<T>() + at,
                                         z.rows(k), z.channels);
  });
}

// Plain loops: vectors gain nothing for a few numbers per channel.
template <>
void update_running_stats<float>(const BatchNormArgs& a, std::int64_t count, View mean, View var,
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

REPRISE_CPU_KERNEL(batch_norm_stats);
REPRISE_CPU_KERNEL(batch_norm_fwd);
REPRISE_CPU_KERNEL(batch_norm_bwd_params);
REPRISE_CPU_KERNEL(batch_norm_bwd_train);
REPRISE_CPU_KERNEL(batch_norm_bwd_eval);

}  // namespace reprise::kernels::cpu
