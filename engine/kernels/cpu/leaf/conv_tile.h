// The micro-kernels of convolutions and matrix products: one tile of pixels times one panel of packed
// weights.
#pragma once

#include <cstdint>

#include "engine/kernels/cpu/base/isa.h"

namespace reprise::kernels::cpu {

inline constexpr int max_segments = 6;

// A word is what a tile reads at a time: a float, or a pair of bf16, the even channel in the lower half.
// A tile is a few segments; a segment is `pixels` neighbours in a row of outputs. Each output channel sums,
// in the order of the runs and within a run in the order of memory, input * weight: one chain of
// multiply-adds per output, whatever the tile, so the tile's form never changes a bit. Of a pair the odd
// channel comes first (what vdpbf16ps does; products of bf16 are exact in f32); callers keep that order in
// floats too.
struct TileCall {
  const float* in[max_segments];  // words: the first pixel of each segment, at the origin of the taps
  void* out[max_segments];        // its first output, float or BFloat16
  int valid[max_segments];  // how many pixels are stored; the others are computed from whatever lies there
  std::int64_t in_stride;   // from pixel to pixel, in words
  std::int64_t out_stride;
  const std::int64_t* runs;  // where each run of contiguous inputs begins, relative to the pixel
  std::int64_t run_count, run_length;
  bool pixels_follow;     // those of the next tile lie behind this one's, likely not in cache yet
  const float* panel;     // run_count * run_length rows of nv * lanes words of weights
  std::int64_t channels;  // how many of those are stored
  const float* ahead;     // weights of later calls, of which each line_words of a run ask for so many lines
  std::int64_t ahead_lines;
  // What becomes of complete sums, as Finish in ../conv/tap_conv.h says: batch norm's numbers for the panel's
  // outputs, or null.
  const float *mean, *scale, *shift;
  const void* residual[max_segments];  // of the first output of each segment, laid out as those are; or null
  bool relu, adds;
};

struct TileVariant {
  int pixels, segments, vectors;           // vectors of output channels
  void (*run)(const TileCall& call);       // floats to floats
  void (*run_bf16)(const TileCall& call);  // to bf16, from floats or, where the leaf says so, pairs
};

// m (rows, outputs) = v (rows, inputs) times a panel (inputs, vectors * lanes): a small matrix product, each
// sum one chain of multiply-adds in the order of the inputs.
struct ProductCall {
  const float* v;  // rows `inputs` apart
  std::int64_t rows, inputs;
  const float* panel;
  int vectors;  // 1 or 2
  float* m;
  std::int64_t m_stride;  // from row to row; all lanes are stored
  const float* next;      // the next call's panel, asked for during this one; or null
};

// dw += for a block of `rows` output channels and `vectors` vectors of contiguous inputs: over pixels p,
// acc[o][i] += dy[p * dy_stride + o] * x[p * x_stride + i]. Starts from 0 for each call's rows of pixels and
// adds to dw.
struct WgradCall {
  const float* x;   // first pixel of the first row
  const float* dy;  // likewise
  std::int64_t rows, pixels;
  std::int64_t x_row_stride, x_stride, dy_row_stride, dy_stride;
  float* dw;  // [o][i], rows `dw_stride` apart
  std::int64_t dw_stride;
  std::int64_t outputs, inputs;  // how many are stored (at most the block's)
};

struct ConvLeaf {
  int lanes;
  bool pairs;               // what run_bf16 reads
  TileVariant variants[6];  // of those with as many vectors, the preferred one first
  int variant_count;
  int wgrad_outputs, wgrad_vectors;  // the block of wgrad
  void (*wgrad)(const WgradCall& call);
  void (*product)(const ProductCall& call);
  // For run_bf16 without pairs: n values as floats, each pair turned round (n even).
  void (*widen_swapped)(const BFloat16* from, float* to, std::int64_t n);
};
REPRISE_LEAF_BEST(ConvLeaf, conv_leaf, isa_avx512bf16)

}  // namespace reprise::kernels::cpu
