// The micro-kernels of convolutions and matrix products: pixels times a panel of packed weights.
#pragma once

#include <cstdint>

#include "engine/kernels/args.h"
#include "engine/kernels/cpu/base/isa.h"

namespace reprise::kernels::cpu {

inline constexpr int max_segments = 6;

// The operands of a tile. A word is a float, or a pair of bf16 with the even channel in the lower
// half. A tile is a few segments; a segment is `pixels` neighbours in a row of outputs.
//
// Each output is one chain of multiply-adds, input * weight, in the order of the runs and of memory
// within a run. So the tile's form never changes a bit. Of a pair the odd channel comes first, as
// in vdpbf16ps; products of bf16 are exact in f32. Callers that widen bf16 swap each pair.
struct TileCall {
  const float* in[max_segments];  // words: each segment's first pixel, at the taps' origin
  void* out[max_segments];        // each segment's first output, float or BFloat16
  int valid[max_segments];        // how many pixels of each segment are stored
  std::int64_t in_stride;         // words from pixel to pixel
  std::int64_t out_stride;        // elements from pixel to pixel
  const std::int64_t* runs;       // where each run of inputs begins, relative to the pixel
  std::int64_t run_count, run_length;
  bool pixels_follow;        // the next tile's pixels follow this one's in memory: prefetch them
  const float* panel;        // weights: run_count * run_length rows of `vectors` vectors
  std::int64_t channels;     // outputs of the panel that are stored
  const float* ahead;        // later calls' weights
  std::int64_t ahead_lines;  // lines of them to prefetch with each line_words words of a run
  // What happens to complete sums (Finish in ../conv/tap_conv.h): batch norm for the
  // panel's outputs, or null; the residual of each segment's first output, or null.
  const float *mean, *scale, *shift;
  const void* residual[max_segments];
  Activation activation;
  bool adds;
};

// A tile's form: segments of `pixels` pixels by `vectors` vectors of outputs.
struct TileVariant {
  int pixels, segments, vectors;
  void (*run)(const TileCall& call);       // floats to floats
  void (*run_bf16)(const TileCall& call);  // to bf16, from pairs (ConvLeaf::pairs) or floats
};

// The operands of a small matrix product, m (rows, outputs) = v (rows, inputs) * panel
// (inputs, outputs). Each sum is one chain of multiply-adds in the order of the inputs.
struct ProductCall {
  const float* v;  // rows are `inputs` apart
  std::int64_t rows, inputs;
  const float* panel;
  int vectors;  // of outputs, 1 or 2
  float* m;
  std::int64_t m_stride;  // from row to row; all lanes are stored
  const float* next;      // the next call's panel, prefetched during this call; or null
};

// The operands of a block of a filter's gradient, `outputs` channels by `inputs` contiguous inputs:
//   dw[o][i] += sum over pixels p of dy[p * dy_stride + o] * x[p * x_stride + i]
// The sum starts from 0 and is added to dw at the end.
struct WgradCall {
  const float* x;   // first pixel of the first row
  const float* dy;  // likewise
  std::int64_t rows, pixels;
  std::int64_t x_row_stride, x_stride, dy_row_stride, dy_stride;
  float* dw;  // [o][i], rows are `dw_stride` apart
  std::int64_t dw_stride;
  std::int64_t outputs, inputs;  // how many are stored; at most the block's
};

struct ConvLeaf {
  int lanes;                // floats in a vector
  bool pairs;               // whether run_bf16 reads pairs of bf16, else floats
  TileVariant variants[4];  // among those with the same `vectors` the preferred one comes first
  int variant_count;
  int wgrad_outputs, wgrad_vectors;  // the block of wgrad: outputs, vectors of inputs
  void (*wgrad)(const WgradCall& call);
  void (*product)(const ProductCall& call);
  // Widens n values (n even) to floats and swaps each pair: the input of run_bf16 without pairs.
  void (*widen_swapped)(const BFloat16* from, float* to, std::int64_t n);
};
REPRISE_LEAF_BEST(ConvLeaf, conv_leaf, isa_avx512bf16)

}  // namespace reprise::kernels::cpu
