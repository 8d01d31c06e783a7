#include "engine/kernels/cpu/winograd.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <type_traits>
#include <vector>

#include "engine/core/env.h"
#include "engine/core/parallel.h"
#include "engine/core/storage.h"
#include "engine/core/tensor.h"
#include "engine/kernels/cpu/chunks.h"
#include "engine/kernels/cpu/leaf/conv_tile.h"
#include "engine/kernels/cpu/leaf/winograd.h"
#include "engine/kernels/cpu/scratch.h"
#include "engine/kernels/cpu/tap_conv.h"

namespace reprise::kernels::cpu {
namespace {

constexpr int elements = 36;     // of a transformed 6x6 tile
constexpr int tile_outputs = 4;  // along each axis
// Between the elements of a tile, so that the 36 do not fall on the same lines of a cache.
constexpr std::int64_t gap = 16;

// The transformed filter in the order in which it is read: [block of outputs][element][input][output in the
// block], zero where there is no such output.
template <class T>
void transform_filter(View filter, bool transposed, std::int64_t block, float* to) {
  const std::int64_t o = filter.dim(0), i = filter.dim(3), outputs = transposed ? i : o,
                     inputs = transposed ? o : i, output_stride = transposed ? 1 : 9 * i,
                     input_stride = transposed ? 9 * i : 1;
  parallel_for(div_up(outputs, block), 1, [&](std::int64_t b, std::int64_t) {
    const std::int64_t count = std::min(block, outputs - b * block);
    std::vector<double> taps(static_cast<std::size_t>(9 * block));
    for (std::int64_t in = 0; in < inputs; ++in) {
      const float* g = filter.data<float>() + b * block * output_stride + in * input_stride;
      for (std::int64_t e = 0; e < 9; ++e) {
        const float* tap = g + (transposed ? 8 - e : e) * i;
        for (std::int64_t k = 0; k < count; ++k) {
          const float w = tap[k * output_stride];
          taps[static_cast<std::size_t>(e * block + k)] =
              static_cast<double>(std::is_same_v<T, float> ? w : to_float(to_bfloat16(w)));
        }
      }
      winograd_leaf<T>().filter(
          {taps.data(), block, to + (b * elements * inputs + in) * block, inputs * block});
    }
  });
}

// The work: the tiles of all images in one row, cut into chunks, and for each chunk some of the blocks of
// outputs.
struct Plan {
  std::int64_t tiles_h, tiles_w, tiles;  // of an image; of all
  std::int64_t block, blocks;            // outputs
  std::int64_t chunk, chunks;            // tiles
  std::int64_t block_parts;              // into how many the blocks are cut
};

Plan make_plan(const MutView& out, std::int64_t inputs) {
  // What the tile variants of every instruction set divide, or nearly.
  constexpr std::int64_t step = 14;
  Plan p{};
  p.tiles_h = div_up(out.dim(1), tile_outputs);
  p.tiles_w = div_up(out.dim(2), tile_outputs);
  p.tiles = out.dim(0) * p.tiles_h * p.tiles_w;
  p.block = block_outputs(out.dim(3));
  p.blocks = div_up(out.dim(3), p.block);
  const std::int64_t steps = div_up(p.tiles, step), wanted = inputs <= 32 ? 6 : 3;
  p.chunk = div_up(steps, std::max<std::int64_t>(1, steps / wanted)) * step;
  p.chunks = div_up(p.tiles, p.chunk);
  p.block_parts = p.chunks >= 12 ? 1 : std::min(p.blocks, div_up(12, p.chunks));
  return p;
}

// A chunk's tiles. One at the map's lower edge, where fewer than four rows of outputs are left, needs none of
// the elements' last row, which only the fourth reads (A^T in leaf/winograd.cpp); at the right edge likewise.
// The order keeps those that need an element together: cut below, whole, cut at the right, cut twice.
struct Tiles {
  const std::int64_t* order;
  std::int64_t whole, cut_right, cut_twice, count;  // where each kind begins

  std::int64_t first(std::int64_t row) const { return row < 5 ? 0 : whole; }
  std::int64_t last(std::int64_t row, std::int64_t column) const {
    return column == 5 ? cut_right : row == 5 ? cut_twice : count;
  }
};

Tiles sort_tiles(const MutView& out, const Plan& p, std::int64_t begin, std::int64_t end) {
  const std::int64_t rows = out.dim(1) / tile_outputs, columns = out.dim(2) / tile_outputs;  // whole ones
  auto* order = scratch_of<std::int64_t>(3, static_cast<std::size_t>(end - begin));
  std::int64_t starts[5] = {};
  for (int kind = 0; kind < 4; ++kind) {
    std::int64_t n = starts[kind];
    for (std::int64_t t = begin; t < end; ++t) {
      const std::int64_t at = t % (p.tiles_h * p.tiles_w);
      const bool below = at / p.tiles_w >= rows, right = at % p.tiles_w >= columns;
      if (kind == (right ? 2 + below : 1 - below)) order[n++] = t;
    }
    starts[kind + 1] = n;
  }
  return {order, starts[1], starts[2], starts[3], starts[4]};
}

template <class T>
void transform_inputs(View in, const Plan& p, const Tiles& tiles, std::int64_t padding_h,
                      std::int64_t padding_w, float* v, std::int64_t element_stride) {
  const std::int64_t height = in.dim(1), width = in.dim(2), channels = in.dim(3);
  T* zeros = scratch_of<T>(2, static_cast<std::size_t>(channels));
  std::fill_n(zeros, channels, T{});
  WinogradInput<T> tile{};
  tile.channels = channels;
  tile.element_stride = element_stride;
  for (std::int64_t n = 0; n < tiles.count; ++n) {
    const std::int64_t t = tiles.order[n], image = t / (p.tiles_h * p.tiles_w),
                       at = t % (p.tiles_h * p.tiles_w);
    const std::int64_t row = at / p.tiles_w * tile_outputs - padding_h,
                       column = at % p.tiles_w * tile_outputs - padding_w;
    for (std::int64_t i = 0; i < 6; ++i)
      for (std::int64_t j = 0; j < 6; ++j) {
        const std::int64_t h = row + i, w = column + j;
        const bool inside = h >= 0 && h < height && w >= 0 && w < width;
        tile.pixel[6 * i + j] = inside ? in.data<T>() + ((image * height + h) * width + w) * channels : zeros;
      }
    tile.v = v + n * channels;
    winograd_leaf<T>().input(tile);
  }
}

template <class T>
void transform_outputs(const float* m, std::int64_t element_stride, const Plan& p, const Tiles& tiles,
                       std::int64_t first_output, const MutView& out) {
  const std::int64_t height = out.dim(1), width = out.dim(2), outputs = out.dim(3);
  WinogradOutput<T> tile{};
  tile.element_stride = element_stride;
  tile.channels = std::min(p.block, outputs - first_output);
  tile.row_stride = width * outputs;
  tile.pixel_stride = outputs;
  for (std::int64_t n = 0; n < tiles.count; ++n) {
    const std::int64_t t = tiles.order[n], image = t / (p.tiles_h * p.tiles_w),
                       at = t % (p.tiles_h * p.tiles_w);
    const std::int64_t row = at / p.tiles_w * tile_outputs, column = at % p.tiles_w * tile_outputs;
    tile.rows = static_cast<int>(std::min<std::int64_t>(tile_outputs, height - row));
    tile.columns = static_cast<int>(std::min<std::int64_t>(tile_outputs, width - column));
    tile.m = m + n * p.block;
    tile.y = out.data<T>() + ((image * height + row) * width + column) * outputs + first_output;
    winograd_leaf<T>().output(tile);
  }
}

// The tile for the next rows: the preferred one while it can be filled, then the smallest that holds the
// rest.
const TileVariant& tile_for(int vectors, std::int64_t rows) {
  const ConvLeaf& leaf = conv_leaf();
  const TileVariant* best = nullptr;
  const auto size = [](const TileVariant& v) { return std::int64_t{v.pixels} * v.segments; };
  for (int i = 0; i < leaf.variant_count; ++i) {
    const TileVariant& v = leaf.variants[i];
    if (v.vectors != vectors) continue;
    if (best == nullptr)
      best = &v;
    else if (size(*best) > rows && size(v) >= rows && size(v) < size(*best))
      best = &v;
  }
  return *best;
}

// m (rows, block) = v (rows, inputs) times a panel, in tiles of registers. A tile that is not full reads on
// behind the rows, and stores nothing of it.
void multiply(const float* v, std::int64_t rows, std::int64_t inputs, const float* panel, std::int64_t block,
              float* m) {
  const std::int64_t no_offset = 0;
  TileCall call{};
  call.in_stride = inputs;
  call.out_stride = block;
  call.runs = &no_offset;
  call.run_count = 1;
  call.run_length = inputs;
  call.panel = panel;
  call.channels = block;
  for (std::int64_t done = 0; done < rows;) {
    const TileVariant& t = tile_for(static_cast<int>(block) / conv_leaf().lanes, rows - done);
    for (int s = 0; s < t.segments; ++s) {
      const std::int64_t first = done + std::int64_t{s} * t.pixels,
                         left = std::clamp<std::int64_t>(rows - first, 0, t.pixels);
      call.in[s] = v + (left > 0 ? first : done) * inputs;
      call.out[s] = m + first * block;
      call.valid[s] = static_cast<int>(left);
    }
    t.run(call);
    done += std::int64_t{t.segments} * t.pixels;
  }
}

std::atomic<bool>& enabled() {
  static std::atomic<bool> on = env_flag("REPRISE_WINOGRAD");
  return on;
}

}  // namespace

bool winograd_enabled() {
  return enabled();
}
void set_winograd(bool on) {
  enabled() = on;
}

bool winograd_applies(const Conv2dArgs& args, View filter, std::int64_t out_height, std::int64_t out_width) {
  return winograd_enabled() && filter.sealed != nullptr && filter.dim(1) == 3 && filter.dim(2) == 3 &&
         args.groups == 1 && args.stride == std::array{1, 1} && args.dilation == std::array{1, 1} &&
         filter.dim(0) >= 16 && filter.dim(3) >= 16 && out_height >= 4 && out_width >= 4;
}

template <class T>
void winograd_conv(View in, View filter, bool transposed, std::int64_t padding_h, std::int64_t padding_w,
                   MutView out) {
  const std::int64_t inputs = in.dim(3);
  const Plan p = make_plan(out, inputs);
  const auto* panels = reinterpret_cast<const float*>(filter.sealed->derived(
      fmt::format("winograd4x4/{}/{}{}", transposed ? "dgrad" : "fwd", p.block,
                  std::is_same_v<T, float> ? "" : "/bf16"),
      static_cast<std::size_t>(p.blocks * elements * inputs * p.block) * sizeof(float), [&](std::byte* to) {
        transform_filter<T>(filter, transposed, p.block, reinterpret_cast<float*>(to));
      }));
  constexpr std::int64_t slack = 32;  // rows that a tile may read behind the last
  const std::int64_t v_stride = p.chunk * inputs + gap, m_stride = p.chunk * p.block + gap;
  const std::int64_t blocks_each = div_up(p.blocks, p.block_parts);
  parallel_for(p.chunks * p.block_parts, 1, [&](std::int64_t job, std::int64_t) {
    const std::int64_t begin = job / p.block_parts * p.chunk, end = std::min(p.tiles, begin + p.chunk),
                       first_block = job % p.block_parts * blocks_each,
                       last_block = std::min(p.blocks, first_block + blocks_each);
    if (first_block >= last_block) return;
    float* v = scratch(0, static_cast<std::size_t>(elements * v_stride + slack * inputs));
    float* m = scratch(1, static_cast<std::size_t>(elements * m_stride));
    const Tiles tiles = sort_tiles(out, p, begin, end);
    transform_inputs<T>(in, p, tiles, padding_h, padding_w, v, v_stride);
    for (std::int64_t b = first_block; b < last_block; ++b) {
      for (std::int64_t e = 0; e < elements; ++e) {
        const std::int64_t first = tiles.first(e / 6);
        multiply(v + e * v_stride + first * inputs, tiles.last(e / 6, e % 6) - first, inputs,
                 panels + (b * elements + e) * inputs * p.block, p.block, m + e * m_stride + first * p.block);
      }
      transform_outputs<T>(m, m_stride, p, tiles, b * p.block, out);
    }
  });
}

template void winograd_conv<float>(View, View, bool, std::int64_t, std::int64_t, MutView);
template void winograd_conv<BFloat16>(View, View, bool, std::int64_t, std::int64_t, MutView);

}  // namespace reprise::kernels::cpu
