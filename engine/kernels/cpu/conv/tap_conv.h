// The one loop behind every convolution and matrix product of this backend: a correlation with explicit taps.
//
// out[n, p, q, o] = sum over tap rows a, tap columns b, channels c (in this order) of
//   in[n, row_origin + p*stride_h + rows[a], col_origin + q*stride_w + cols[b], c_begin + c] * weight[a, b,
//   c, o]
// with zeros outside the input. A forward convolution is one of them, and so is each phase of a gradient with
// respect to a strided input, where the filter is transposed and turned round; a matrix product has one tap.
//
// In bf16 a pair of channels is added with the odd one first, in every instruction set (leaf/conv_tile.h).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/core/storage.h"

namespace reprise::kernels::cpu {

// What is done to outputs when they are complete, while they are in cache: they are added to what is there,
// or batch norm with given statistics, (y - mean) * scale + shift, then [+ residual], then [ReLU].
template <class T>
struct Finish {
  const float *mean = nullptr, *scale = nullptr, *shift = nullptr;  // (o); absent: no batch norm
  const T* residual = nullptr;                                      // laid out as the outputs are
  bool relu = false;
  bool adds = false;  // and nothing else

  bool any() const { return mean != nullptr || adds; }
};

// Makes an input's pixels [first, first + count), of all images in a row, with all their channels, one behind
// the other in `out`. Each is asked for once where there is one tap, by any thread.
template <class T>
using PixelSource = std::function<void(std::int64_t first, std::int64_t count, T* out)>;
// Is told of outputs [first, first + count), of all images in a row, when all their channels are complete.
using PixelsMade = std::function<void(std::int64_t first, std::int64_t count)>;

template <class T>
struct TapConv {
  const T* in = nullptr;
  PixelSource<T> source = {};                         // instead of `in`; with stride 1
  std::int64_t n = 1, h = 1, w = 1, in_channels = 1;  // of the whole input
  std::int64_t c_begin = 0, c = 1;                    // the channels read
  std::int64_t row_origin = 0, col_origin = 0;
  std::int64_t stride_h = 1, stride_w = 1;
  std::vector<std::int64_t> rows, cols;  // ascending, from 0

  T* out = nullptr;  // the element of image 0, p = 0, q = 0, o = 0
  std::int64_t oh = 1, ow = 1, o = 1;
  std::int64_t out_image = 0, out_row = 0, out_pixel = 0;  // strides in elements
  Finish<T> finish = {};
  PixelsMade made = {};  // where outputs lie without gaps
};

// Weights in the order in which tiles read them: [block of outputs][tap row][tap column][c][output in the
// block]; a word is a float, or for bf16 where tiles read pairs a pair of c. Where they read blocks of pairs,
// those of a block lie tile of outputs by tile of outputs (leaf/block_tile.h).
struct PackedWeights {
  const float* data;   // words
  std::int64_t block;  // outputs in a block
};

// How many outputs a block has when there are `o` of them.
std::int64_t block_outputs(std::int64_t o);
using WeightAt =
    std::function<const float*(std::int64_t a, std::int64_t b, std::int64_t c, std::int64_t* o_stride)>;
// The packed form of weight(a, b, c, o): kept with sealed weights under `key`, else made in scratch memory of
// this thread. Zero where o is past the end; for bf16 rounded.
template <class T>
PackedWeights packed_weights(const TapConv<T>& t, const Storage* sealed, const std::string& key,
                             const WeightAt& first);

template <class T>
void tap_conv(const TapConv<T>& t, const PackedWeights& weights);

}  // namespace reprise::kernels::cpu
