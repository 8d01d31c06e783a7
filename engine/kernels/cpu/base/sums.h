// Sums over the pixels of each channel, for batch norm and reprogramming filters, and the factors
// that batch norm computes from them. A chunk of rows is summed in f32; the chunks are added in
// order, in double. Plain and fused kernels both call these functions, so they give the same bits.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/core/view.h"
#include "engine/kernels/cpu/base/chunks.h"

namespace reprise::kernels::cpu {

// Elements in a chunk: 256 KiB of floats, so that a second pass over the chunk finds it in cache.
inline constexpr std::int64_t sum_chunk = 1 << 16;
// Elements in a chunk for a filter's gradient. This is one pass only, and it reads the
// rows next to a cut twice, so larger chunks cost less.
inline constexpr std::int64_t filter_chunk = 1 << 17;

// Returns memory for the sums of all chunks, with undefined contents: this thread's Scratch::sums.
float* partial_sums(std::int64_t floats);

// Computes out[i] = the sum over the chunks k of partial[k * n + i], for i < n.
void join_sums(const Chunks& z, const float* partial, std::int64_t n, float* out);

// Computes the moments of a chunk x (rows, channels) into parts (3, channels): its mean m,
// sum (x - m) and sum (x - m)^2.
template <class T>
void chunk_moments(const T* x, std::int64_t rows, std::int64_t channels, float* parts);
// Joins the moments of all chunks (Chan, Golub and LeVeque, 1979) to each channel's mean and biased
// variance. sum (x - m) corrects the rounding of m.
void join_moments(const Chunks& z, const float* parts, MutView mean, MutView var);

// Joins all chunks' parts (2, channels), sum dy and sum dy (x - mean), to the gradients
//   dbeta = sum dy,  dgamma = sum dy (x - mean) / sqrt(var + eps)
void join_gradient_sums(const Chunks& z, const float* parts, double eps, View var, MutView dgamma,
                        MutView dbeta);

// Returns gamma / sqrt(var + eps) for each channel.
std::vector<float> normal_scale(View gamma, View var, double eps);
// Factors of dx = scale * ((dy - grad_mean) - (x - mean) * slope), one per channel. With M pixels:
//   grad_mean = dbeta / M,  slope = dgamma / (M sqrt(var + eps))
struct InputGradient {
  std::vector<float> grad_mean, slope;
};
InputGradient input_gradient(View dgamma, View dbeta, View var, std::int64_t pixels, double eps);

}  // namespace reprise::kernels::cpu
