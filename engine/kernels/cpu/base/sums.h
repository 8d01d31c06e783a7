// Sums over the pixels of a channel, as batch norm and reprogramming filters need them, and what batch norm
// makes of them: f32 within a chunk of rows, double over the chunks, in their order. The plain kernels and
// the fused ones share them, so that both have the same bits.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/core/view.h"
#include "engine/kernels/cpu/base/chunks.h"

namespace reprise::kernels::cpu {

// Elements in a chunk: 256 KiB, so that a second look at it finds it in cache.
inline constexpr std::int64_t sum_chunk = 1 << 16;
// And for a filter's gradient, which looks once; its neighbours' rows are read twice, so larger.
inline constexpr std::int64_t filter_chunk = 1 << 17;

// Working space for the sums of all chunks: kept by this thread for its next call, undefined at first.
float* partial_sums(std::int64_t floats);

// out[n] = the sum over the chunks of partial[chunk][n].
void join_sums(const Chunks& z, const float* partial, std::int64_t n, float* out);

// A chunk's moments: its mean m, sum (x - m), sum (x - m)^2, `channels` values each, into `parts`.
template <class T>
void chunk_moments(const T* x, std::int64_t rows, std::int64_t channels, float* parts);
// Joins those of all chunks, in double (Chan, Golub and LeVeque, 1979). The first moment around m mends the
// rounding of m.
void join_moments(const Chunks& z, const float* parts, MutView mean, MutView var);

// From every chunk's sum dy and sum dy (x - mean), `channels` values each.
void join_gradient_sums(const Chunks& z, const float* parts, double eps, View var, MutView dgamma,
                        MutView dbeta);

// gamma / sqrt(var + eps), a value per channel.
std::vector<float> normal_scale(View gamma, View var, double eps);
// What the gradient of the input is made of, beside the scale: dbeta / M and dgamma / (M sqrt(var + eps)),
// for M pixels.
struct InputGradient {
  std::vector<float> grad_mean, slope;
};
InputGradient input_gradient(View dgamma, View dbeta, View var, std::int64_t pixels, double eps);

}  // namespace reprise::kernels::cpu
