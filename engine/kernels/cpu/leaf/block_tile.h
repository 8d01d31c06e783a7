// The micro-kernel of bf16 convolutions that sums blocks of pairs, as AMX's tdpbf16ps
// does. Without AMX it computes the same bits by multiply-adds.
#pragma once

#include <cstdint>

#include "engine/kernels/cpu/base/isa.h"

namespace reprise::kernels::cpu {

inline constexpr int tile_pixels = 16;   // pixels of a tile
inline constexpr int max_tiles = 4;      // tiles of pixels in a call
inline constexpr int block_pairs = 16;   // most pairs of channels in a block
inline constexpr int tile_outputs = 16;  // output channels of a tile

// The operands of a call. A word is a pair of bf16, the even channel in the lower half. A
// block's sum is (the sum of even channels, in order, from 0) + (the same of odd channels),
// by multiply-adds. It is added to the sum of the blocks before. Denormals are 0 everywhere.
struct BlockCall {
  const float* in[max_tiles];       // words: each tile's first pixel, at the taps' origin
  std::int64_t in_stride;           // words from pixel to pixel
  const std::int64_t* blocks;       // where each block begins, relative to the pixel
  std::int64_t block_count, pairs;  // blocks, pairs in each
  const float* panel;               // weights: [block][tile of outputs][pair][output in the tile]
  bool panel_passes;                // the panel bypasses the first-level cache: it is too large
  float* sums;                      // result: [tile][pixel][output]
  // The address of each pixel's outputs, null if the pixel is no output. If `writes`, the call
  // stores the pixel's first `channels` sums, rounded, at rows[i] + offset; else the caller does.
  // With AMX it prefetches these lines and, unless `beside` is 0, those `beside` bytes away.
  BFloat16* const* rows;
  std::int64_t row_count, offset, channels, beside;
  bool writes;
  const float* ahead;  // later calls' weights: ahead_lines cache lines to prefetch
  std::int64_t ahead_lines;
};

struct BlockLeaf {
  // A thread calls `begin` before calls with `pairs` pairs in a block, and `end` after the last.
  void (*begin)(std::int64_t pairs);
  void (*end)();
  void (*run16)(const BlockCall& call);  // four tiles of pixels by 16 outputs
  void (*run32)(const BlockCall& call);  // two tiles of pixels by 32 outputs
  // Rounds the first `channels` of each row of sums to bf16; rows of sums are `outputs` apart.
  void (*store)(const float* sums, std::int64_t outputs, BFloat16* out, std::int64_t rows,
                std::int64_t out_stride, std::int64_t channels);
};
REPRISE_LEAF_TOP(BlockLeaf, block_leaf, isa_avx512, isa_amx)

}  // namespace reprise::kernels::cpu
