// Tiles of bf16 that sum in blocks of pairs, as AMX's tdpbf16ps does; without AMX the same bits by
// multiply-adds.
#pragma once

#include <cstdint>

#include "engine/kernels/cpu/base/isa.h"

namespace reprise::kernels::cpu {

inline constexpr int tile_pixels = 16;   // of a tile
inline constexpr int max_tiles = 4;      // of a call
inline constexpr int block_pairs = 16;   // most pairs of channels in a block
inline constexpr int tile_outputs = 16;  // output channels that a tile's row holds

// A word is a pair of bf16, the even channel in the lower half. Of a block the products of even channels are
// summed in order, from 0, by multiply-adds, those of odd channels likewise, and the sum of the two is added
// to that of the blocks before. Denormals are 0 everywhere.
struct BlockCall {
  const float* in[max_tiles];       // words: each tile's first pixel, at the origin of the taps; all are read
  std::int64_t in_stride;           // from pixel to pixel, in words
  const std::int64_t* blocks;       // where each block begins, relative to the pixel
  std::int64_t block_count, pairs;  // pairs: of every block
  const float* panel;               // [block][tile of outputs][pair][output in the tile]
  bool panel_passes;  // through the first cache, which then keeps pixels: weights too many for it
  float* sums;        // [tile][pixel][output]
  // Where the first `channels` of each pixel's sums go, rounded, `offset` values on; null where nobody wants
  // them. Unless `writes`, the caller takes them from `sums`; these lines come into the second cache
  // meanwhile, and those `beside` bytes away if that is not 0.
  BFloat16* const* rows;
  std::int64_t row_count, offset, channels, beside;
  bool writes;
  // As do these, the first of `ahead_lines` that follow one another.
  const float* ahead;
  std::int64_t ahead_lines;
};

struct BlockLeaf {
  // Before the first call of a thread for blocks of so many pairs, and after the last one.
  void (*begin)(std::int64_t pairs);
  void (*end)();
  void (*run16)(const BlockCall& call);  // four tiles by 16 outputs
  void (*run32)(const BlockCall& call);  // two tiles by 32
  // Rounds rows of sums, `outputs` apart, to bf16: the first `channels` of each.
  void (*store)(const float* sums, std::int64_t outputs, BFloat16* out, std::int64_t rows,
                std::int64_t out_stride, std::int64_t channels);
};
REPRISE_LEAF_TOP(BlockLeaf, block_leaf, isa_avx512, isa_amx)

}  // namespace reprise::kernels::cpu
