// Tap convolutions of bf16 that sum blocks of pairs (leaf/block_tile.h). A tile is always
// sixteen pixels, at equal distances in the copy. Where rows of outputs are short, a tile
// reaches over a row's end and padding into the next row of the copy: the same row of the
// next image, or the first image's next row. Only sums that belong to an output are stored.
#include <algorithm>
#include <cstring>

#include "engine/base/parallel.h"
#include "engine/kernels/cpu/base/chunks.h"
#include "engine/kernels/cpu/base/scratch.h"
#include "engine/kernels/cpu/conv/tap_plan.h"
#include "engine/kernels/cpu/leaf/block_tile.h"
#include "engine/kernels/cpu/leaf/conv_block.h"

namespace reprise::kernels::cpu {
namespace {

// Words: with AMX 1 MiB stays in the second-level cache, 32 KiB in the first beside pixels.
constexpr std::int64_t small_weights = 256 << 10, tiny_weights = 8 << 10;

// Neighbouring outputs in a tile: `count` of them, from the tile's pixel `first` on.
struct Piece {
  std::int64_t first, count;
  BFloat16* out;
};

// The tiles of a unit, in order, and their pieces.
struct Tiles {
  std::vector<const float*> in;
  std::vector<BFloat16*> rows;            // each pixel's outputs; null if the pixel is no output
  std::vector<std::int64_t> first_piece;  // of each tile
  std::vector<Piece> pieces;
  bool shares = false;   // a pixel of padding is a row's last output and the next row's first
  std::int64_t end = 0;  // the copy's pixel after the last tile

  void clear() { in.clear(), rows.clear(), first_piece.clear(), pieces.clear(), shares = false, end = 0; }
  // Adds the outputs at pixels [at, at + count) of `copy`, whose pixels are `stride` words apart.
  void add(const float* copy, std::int64_t stride, std::int64_t at, std::int64_t count, BFloat16* out,
           std::int64_t out_pixel) {
    while (count > 0) {
      if (in.empty() || at >= end) {
        in.push_back(copy + at * stride);
        rows.insert(rows.end(), tile_pixels, nullptr);
        first_piece.push_back(std::ssize(pieces));
        end = at + tile_pixels;
      }
      const std::int64_t n = std::min(count, end - at);
      pieces.push_back({at - (end - tile_pixels), n, out});
      BFloat16** row = rows.data() + std::ssize(rows) + at - end;
      for (std::int64_t i = 0; i < n; ++i) {
        shares |= row[i] != nullptr;
        row[i] = out + i * out_pixel;
      }
      at += n, count -= n, out += n * out_pixel;
    }
  }
  std::int64_t count() const { return std::ssize(in); }
  std::int64_t piece(std::int64_t tile) const {
    return tile < count() ? first_piece[static_cast<std::size_t>(tile)] : std::ssize(pieces);
  }
};

// Lists a unit's tiles if all pixels are one long row; sets the words from pixel to pixel.
void make_flat_tiles(const TapConv<BFloat16>& t, const TapPlan& p, std::int64_t unit, Tiles& tiles,
                     std::int64_t& stride) {
  const std::int64_t begin = unit * p.rows, end = std::min(t.n * t.h * t.w, begin + p.rows);
  const std::int64_t in_place = p.in_place ? (end - begin) / tile_pixels * tile_pixels : 0;
  stride = p.in_place ? t.in_channels / 2 : p.pixel_words;
  BFloat16* out = t.out + begin * t.out_pixel;
  const auto in_memory = [&t](std::int64_t pixel) { return t.in + t.c_begin + pixel * t.in_channels; };
  if (in_place > 0)
    tiles.add(reinterpret_cast<const float*>(in_memory(begin)), stride, 0, in_place, out, t.out_pixel);
  if (begin + in_place == end) return;
  // The rest is copied, so that nothing is read past the end.
  const std::int64_t left = end - begin - in_place, room = div_up(left, tile_pixels) * tile_pixels;
  float* copy = scratch(Scratch::pixels, static_cast<std::size_t>(room * stride));
  std::fill(copy + left * stride, copy + room * stride, 0.0F);
  if (!p.in_place) copy_pixels(t, p, begin, left, copy);
  for (std::int64_t q = 0; p.in_place && q < left; ++q)
    std::memcpy(copy + q * stride, in_memory(begin + in_place + q),
                static_cast<std::size_t>(t.c) * sizeof(BFloat16));
  tiles.end = 0;  // counted in the copy from here on
  tiles.add(copy, stride, 0, left, out + in_place * t.out_pixel, t.out_pixel);
}

void make_tiles(const TapConv<BFloat16>& t, const TapPlan& p, std::int64_t unit, Tiles& tiles,
                std::int64_t& stride) {
  const std::int64_t first = unit / p.row_units * p.images, last = std::min(t.n, first + p.images);
  const std::int64_t first_row = unit % p.row_units * p.rows, last_row = std::min(t.oh, first_row + p.rows);
  stride = p.stride_w * p.pixel_words;
  // Slack after the last pixel: its padding and the rest of a tile.
  float* copy = copy_images(t, p, first, last, first_row, (tile_pixels + t.cols.back()) * stride);
  // Outputs from row to row and from image to image: make_plan makes a row of the copy
  // a multiple of the stride.
  const std::int64_t row_places = p.row_words / stride * p.stride_h, image_places = p.image_words / stride;
  for (std::int64_t row = first_row; row < last_row; ++row)
    for (std::int64_t n = first; n < last; ++n)
      tiles.add(copy, stride, (row - first_row) * row_places + (n - first) * image_places, t.ow,
                t.out + n * t.out_image + row * t.out_row, t.out_pixel);
}

// Applies t.finish to rounded sums and stores the results in `out`.
void finish_outputs(const TapConv<BFloat16>& t, const BFloat16* sums, std::int64_t stride, BFloat16* out,
                    std::int64_t pixels, std::int64_t first_channel, std::int64_t channels) {
  const Finish<BFloat16>& f = t.finish;
  const ConvBlockLeaf<BFloat16>& leaf = conv_block_leaf<BFloat16>();
  if (f.adds)
    leaf.add(sums, stride, out, pixels, t.out_pixel, channels);
  else
    leaf.finish(sums, stride, f.mean + first_channel, f.scale + first_channel, f.shift + first_channel,
                f.residual != nullptr ? f.residual + (out - t.out) : nullptr, f.activation, out, nullptr,
                false, pixels, t.out_pixel, channels);
}

// Computes one call: tiles from `first` on, with block b of outputs.
void run(const TapConv<BFloat16>& t, const PackedWeights& weights, const Tiles& tiles, std::int64_t first,
         std::int64_t b, BlockCall& call) {
  const BlockLeaf& leaf = block_leaf();
  const std::int64_t outputs = weights.block, at_once = max_tiles * tile_outputs / outputs;
  const std::int64_t channels = std::min(outputs, t.o - b * outputs);
  for (std::int64_t i = 0; i < at_once; ++i)
    call.in[i] = tiles.in[static_cast<std::size_t>(std::min(first + i, tiles.count() - 1))];
  call.panel = weights.data + b * call.block_count * call.pairs * outputs;
  const std::int64_t last = std::min(first + at_once, tiles.count());
  call.rows = tiles.rows.data() + first * tile_pixels, call.row_count = (last - first) * tile_pixels;
  call.offset = b * outputs, call.channels = channels;
  if (outputs == tile_outputs)
    leaf.run16(call);
  else
    leaf.run32(call);
  if (call.writes) return;
  BFloat16 rounded[tile_pixels * 2 * tile_outputs];
  for (std::int64_t i = first; i < last; ++i)
    for (std::int64_t k = tiles.piece(i); k < tiles.piece(i + 1); ++k) {
      const Piece& piece = tiles.pieces[static_cast<std::size_t>(k)];
      const float* sums = call.sums + ((i - first) * tile_pixels + piece.first) * outputs;
      BFloat16* out = piece.out + b * outputs;
      if (!t.finish.any()) {
        leaf.store(sums, outputs, out, piece.count, t.out_pixel, channels);
        continue;
      }
      leaf.store(sums, outputs, rounded, piece.count, outputs, channels);
      finish_outputs(t, rounded, outputs, out, piece.count, b * outputs, channels);
    }
}

}  // namespace

void tap_conv_blocks(const TapConv<BFloat16>& t, const PackedWeights& weights) {
  const TapPlan plan = make_plan(t, weights.block);
  const std::int64_t units = plan.image_units * plan.row_units;
  const std::int64_t blocks_each = div_up(plan.blocks, plan.block_units);
  const std::int64_t at_once = max_tiles * tile_outputs / weights.block;
  UnitsMade made(t, plan);
  const SameUnit same_unit;
  parallel_for(units * plan.block_units, 1, [&](std::int64_t job, std::int64_t) {
    const std::int64_t unit = job / plan.block_units, part = job % plan.block_units;
    const std::int64_t begin = part * blocks_each, end = std::min(plan.blocks, begin + blocks_each);
    if (begin >= end) return made.done(unit);
    thread_local Tiles tiles;
    thread_local std::int64_t in_stride;
    if (!same_unit(unit)) {
      tiles.clear();
      if (plan.flat)
        make_flat_tiles(t, plan, unit, tiles, in_stride);
      else
        make_tiles(t, plan, unit, tiles, in_stride);
    }
    BlockCall call{};
    call.in_stride = in_stride;
    call.blocks = plan.runs.data(), call.block_count = std::ssize(plan.runs), call.pairs = plan.run_length;
    alignas(64) float sums[max_tiles * tile_pixels * tile_outputs];
    call.sums = sums;
    call.writes = !t.finish.any() && !tiles.shares;
    if (t.finish.residual != nullptr)
      call.beside =
          reinterpret_cast<std::intptr_t>(t.finish.residual) - reinterpret_cast<std::intptr_t>(t.out);
    block_leaf().begin(call.pairs);
    // Goes tile by tile if all weights stay in cache, else block by block, so that a panel does.
    const std::int64_t panel = call.block_count * call.pairs * weights.block, all = panel * (end - begin);
    call.panel_passes = (all <= small_weights ? all : panel) > tiny_weights;
    if (all <= small_weights) {
      for (std::int64_t i = 0; i < tiles.count(); i += at_once)
        for (std::int64_t b = begin; b < end; ++b) run(t, weights, tiles, i, b, call);
    } else {
      const std::int64_t calls = div_up(tiles.count(), at_once), share = div_up(panel / line_words, calls);
      for (std::int64_t b = begin; b < end; ++b)
        for (std::int64_t i = 0; i < calls; ++i) {
          call.ahead = weights.data + (b + 1) * panel + i * share * line_words;
          call.ahead_lines =
              b + 1 < end ? std::clamp<std::int64_t>(panel / line_words - i * share, 0, share) : 0;
          run(t, weights, tiles, i * at_once, b, call);
        }
    }
    block_leaf().end();
    made.done(unit);
  });
}

}  // namespace reprise::kernels::cpu
