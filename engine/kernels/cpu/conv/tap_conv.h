// The direct form of convolutions and matrix products: one correlation with explicit taps.
//
//   out[n, p, q, o] = sum over tap rows a, tap columns b, channels c (in this order) of
//       in[n, row_origin + p*stride_h + rows[a], col_origin + q*stride_w + cols[b], c_begin + c]
//       * weight[a, b, c, o]
//
// The input is 0 outside its images. A forward convolution has this form. So has each phase of
// the gradient of a strided convolution's input, with the filter transposed and its taps
// reversed. A matrix product has one tap. In bf16 the order of the sum is that of bf16_order.h.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/core/storage.h"
#include "engine/kernels/args.h"

namespace reprise::kernels::cpu {

// What happens to complete sums while they are in cache: one of
//   out = [activation]((sum - mean) * scale + shift [+ residual])    batch norm with given statistics
//   out += sum                                                 if `adds`
//   out = sum                                                  by default
template <class T>
struct Finish {
  const float *mean = nullptr, *scale = nullptr, *shift = nullptr;  // (o); absent: no batch norm
  const T* residual = nullptr;                                      // in the outputs' layout
  Activation activation = Activation::none;
  bool adds = false;

  bool any() const { return mean != nullptr || adds; }
};

// Computes pixels [first, first + count) of a convolution's input, counted over all
// images, into `out`: all channels of one pixel, then those of the next. Any thread may
// call it. If the convolution has one tap, each pixel is asked for once.
template <class T>
using PixelSource = std::function<void(std::int64_t first, std::int64_t count, T* out)>;
// Takes note that outputs [first, first + count), counted over all images, have all
// their channels. The thread that completes them calls it.
using PixelsMade = std::function<void(std::int64_t first, std::int64_t count)>;

// A convolution in this form.
template <class T>
struct TapConv {
  const T* in = nullptr;
  PixelSource<T> source = {};                         // computes the input instead; needs stride 1
  std::int64_t n = 1, h = 1, w = 1, in_channels = 1;  // shape of the whole input
  std::int64_t c_begin = 0, c = 1;                    // the sum's channels: c from c_begin on
  std::int64_t row_origin = 0, col_origin = 0;
  std::int64_t stride_h = 1, stride_w = 1;
  std::vector<std::int64_t> rows, cols;  // ascending, from 0

  T* out = nullptr;  // the element n = 0, p = 0, q = 0, o = 0
  std::int64_t oh = 1, ow = 1, o = 1;
  std::int64_t out_image = 0, out_row = 0, out_pixel = 0;  // strides in elements
  Finish<T> finish = {};
  PixelsMade made = {};  // only for outputs without gaps in memory
};

// Weights in the order [block of outputs][tap row][tap column][c][output in the block]. A word
// is a float or, if tiles multiply pairs of bf16, a pair of channels. If tiles sum blocks of
// pairs, such a block is stored tile of outputs by tile of outputs (leaf/block_tile.h).
struct PackedWeights {
  const float* data;   // words
  std::int64_t block;  // outputs in a block
};

// Returns how many outputs a block has if there are `o` in all: one vector or two.
std::int64_t block_outputs(std::int64_t o);
// Returns the address of weight[a, b, c, 0]; sets *o_stride, the floats from one o to the next.
using WeightAt =
    std::function<const float*(std::int64_t a, std::int64_t b, std::int64_t c, std::int64_t* o_stride)>;
// Returns the packed form of `weight`, rounded if T is bf16, with zeros after the last
// output. With `sealed` it is computed once, kept under `key`, and valid as long as
// `sealed`. Otherwise it is computed now, in this thread's Scratch::weights.
template <class T>
PackedWeights packed_weights(const TapConv<T>& t, const Storage* sealed, const std::string& key,
                             const WeightAt& weight);

// Computes the convolution on all threads, with the weights that packed_weights returned for `t`.
template <class T>
void tap_conv(const TapConv<T>& t, const PackedWeights& weights);

}  // namespace reprise::kernels::cpu
