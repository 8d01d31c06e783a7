#include "engine/kernels/cpu/conv/winograd.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <numeric>
#include <type_traits>
#include <vector>

#include "engine/base/env.h"
#include "engine/base/parallel.h"
#include "engine/core/storage.h"
#include "engine/core/tensor.h"
#include "engine/kernels/cpu/base/chunks.h"
#include "engine/kernels/cpu/base/instantiate.h"
#include "engine/kernels/cpu/base/scratch.h"
#include "engine/kernels/cpu/conv/bf16_order.h"
#include "engine/kernels/cpu/conv/tap_conv.h"
#include "engine/kernels/cpu/leaf/conv_tile.h"
#include "engine/kernels/cpu/leaf/winograd.h"

namespace reprise::kernels::cpu {
namespace {

constexpr int panels = winograd_panels * winograd_panels;
// Floats between the elements of a tile, which else would share few sets of a cache.
constexpr std::int64_t gap = 16;

// Stride 1 or 2, forward or the gradient. Tiles begin `origin` pixels before the input.
template <class T>
struct Form {
  const char* name;
  WinogradAxis axis;
  const WinogradTransforms<T>& transforms;
  bool transposed;  // the sum runs over the filter's O channels, with the taps reversed
  std::array<std::int64_t, 2> origin;
  bool adds = false;   // adds to the output
  bool sizes = false;  // of |U| and |V|

  std::int64_t elements() const { return std::int64_t{axis.elements} * axis.elements; }
  std::int64_t panel(int row, int column) const {
    return winograd_panels * std::min(row, winograd_panels - 1) + std::min(column, winograd_panels - 1);
  }
  // Returns whether a tile that keeps only `left` outputs (0: all) does not need this element.
  bool idle(int element, std::int64_t left) const {
    if (left == 0) return false;
    if (axis.elements == winograd_panels) return element == 5;  // infinity, for the last output
    const std::int64_t pixels = div_up(left, axis.outputs / 4);
    return element == 4 || element - 5 >= pixels;
  }
};

// Transforms the filter into the order in which it is read:
// [block of outputs][panel][input][output in the block], 0 after the last output.
template <class T>
void transform_filter(View filter, const Form<T>& form, std::int64_t block, float* to) {
  const bool transposed = form.transposed;
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
      form.transforms.filter({taps.data(), block, to + (b * panels * inputs + in) * block, inputs * block});
    }
  });
}

// How the work is cut: the tiles of all images into chunks, and the blocks of outputs into parts.
struct TilePlan {
  std::int64_t tiles_h, tiles_w, tiles;  // tiles of an image; of all images
  std::int64_t block, blocks;            // outputs in a block; blocks
  std::int64_t chunk, chunks;            // tiles in a chunk; chunks
  std::int64_t parts, blocks_each;       // parts of the blocks; blocks in a part
};

// A transformed filter of more bytes may not fit in any cache.
constexpr std::int64_t uncached_filter = std::int64_t{16} << 20;

// Returns the plan whose last thread ends first. Small chunks read the panels more often.
// Large chunks do not fit the cache, which matters less if the panels come from memory.
// Every part transforms its chunk's inputs again. No result depends on the choice.
TilePlan make_plan(const MutView& out, std::int64_t inputs, int tile_outputs) {
  TilePlan p{};
  p.tiles_h = div_up(out.dim(1), tile_outputs);
  p.tiles_w = div_up(out.dim(2), tile_outputs);
  p.tiles = out.dim(0) * p.tiles_h * p.tiles_w;
  p.block = block_outputs(out.dim(3));
  p.blocks = div_up(out.dim(3), p.block);
  const std::int64_t threads = thread_count(),
                     filter = p.blocks * p.block * panels * inputs * std::int64_t{sizeof(float)},
                     largest = std::min<std::int64_t>(p.tiles, filter > uncached_filter ? 64 : 42);
  std::int64_t best = 0;
  for (std::int64_t chunk = largest; chunk > largest / 3; --chunk) {
    const std::int64_t chunks = div_up(p.tiles, chunk), parts = std::min(p.blocks, div_up(threads, chunks)),
                       blocks_each = div_up(p.blocks, parts), jobs = div_up(chunks * parts, threads);
    // Unit: 1/7 of a tile's products with a block. A panel costs two tiles, a transform one unit.
    const std::int64_t cost = jobs * (chunk + 2) * (7 * blocks_each + 1);
    if (best != 0 && cost >= best) continue;
    best = cost;
    p.chunk = chunk, p.chunks = chunks, p.parts = parts, p.blocks_each = blocks_each;
  }
  return p;
}

// A chunk's tiles. Tiles that reach over the map's lower edge can do without some rows of
// elements (Form::idle), those over the right edge without some columns. The order keeps
// tiles that need an element together: cut below, whole, cut at the right, cut twice.
struct Tiles {
  const std::int64_t* order;
  std::int64_t whole, cut_right, cut_twice, count;  // where each kind begins

  std::int64_t first(bool idle_row) const { return idle_row ? whole : 0; }
  std::int64_t last(bool idle_row, bool idle_column) const {
    return idle_column ? cut_right : idle_row ? cut_twice : count;
  }
};

Tiles sort_tiles(const MutView& out, int tile_outputs, const TilePlan& p, std::int64_t begin,
                 std::int64_t end) {
  const std::int64_t rows = out.dim(1) / tile_outputs, columns = out.dim(2) / tile_outputs;  // whole
  auto* order = scratch_of<std::int64_t>(Scratch::order, static_cast<std::size_t>(end - begin));
  if (rows == p.tiles_h && columns == p.tiles_w) {
    std::iota(order, order + (end - begin), begin);
    return {order, 0, end - begin, end - begin, end - begin};
  }
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

// Finds a tile's pixels, and prefetches them into the second-level cache: the first is
// full of the tile that is being transformed.
template <class T>
void find_pixels(View in, const Form<T>& form, const TilePlan& p, std::int64_t tile, const T* zeros,
                 const T** pixel) {
  constexpr std::int64_t line = 64 / sizeof(T);
  const std::int64_t height = in.dim(1), width = in.dim(2), channels = in.dim(3);
  const std::int64_t image = tile / (p.tiles_h * p.tiles_w), at = tile % (p.tiles_h * p.tiles_w);
  const std::int64_t row = at / p.tiles_w * form.axis.step - form.origin[0],
                     column = at % p.tiles_w * form.axis.step - form.origin[1];
  const std::int64_t patch = form.axis.patch, left = std::clamp<std::int64_t>(-column, 0, patch),
                     inside = std::clamp<std::int64_t>(width - column, left, patch) - left;
  for (std::int64_t h = row; h < row + patch; ++h, pixel += patch) {
    if (h < 0 || h >= height || inside == 0) {
      std::fill_n(pixel, patch, zeros);
      continue;
    }
    const T* found = in.data<T>() + ((image * height + h) * width + column + left) * channels;
    for (std::int64_t i = 0; i < inside * channels; i += line) __builtin_prefetch(found + i, 0, 2);
    std::fill_n(pixel, left, zeros);
    for (std::int64_t j = left; j < left + inside; ++j, found += channels) pixel[j] = found;
    std::fill(pixel + left + inside, pixel + patch, zeros);
  }
}

template <class T>
void transform_inputs(View in, const Form<T>& form, const TilePlan& p, const Tiles& tiles, float* v,
                      std::int64_t element_stride) {
  const std::int64_t channels = in.dim(3);
  T* zeros = scratch_of<T>(Scratch::operand, static_cast<std::size_t>(channels));
  std::fill_n(zeros, channels, T{});
  // Prefetches the next tile while this one is transformed: memory takes longer than arithmetic.
  WinogradInput<T> pair[2];
  find_pixels(in, form, p, tiles.order[0], zeros, pair[0].pixel);
  for (std::int64_t n = 0; n < tiles.count; ++n) {
    WinogradInput<T>& tile = pair[n % 2];
    if (n + 1 < tiles.count) find_pixels(in, form, p, tiles.order[n + 1], zeros, pair[(n + 1) % 2].pixel);
    tile.channels = channels;
    tile.v = v + n * channels;
    tile.element_stride = element_stride;
    form.transforms.input(tile);
  }
}

template <class T>
void transform_outputs(const float* m, std::int64_t element_stride, std::int64_t tile_stride,
                       const Form<T>& form, const TilePlan& p, const Tiles& tiles, std::int64_t first_output,
                       const MutView& out) {
  const std::int64_t height = out.dim(1), width = out.dim(2), outputs = out.dim(3);
  const std::int64_t size = form.axis.outputs;
  WinogradOutput<T> tile{};
  tile.element_stride = element_stride;
  tile.channels = std::min(tile_stride, outputs - first_output);
  tile.row_stride = width * outputs;
  tile.adds = form.adds;
  tile.pixel_stride = outputs;
  const auto found = [&](std::int64_t n) {
    WinogradOutput<T> to = tile;
    const std::int64_t t = tiles.order[n], image = t / (p.tiles_h * p.tiles_w),
                       at = t % (p.tiles_h * p.tiles_w);
    const std::int64_t row = at / p.tiles_w * size, column = at % p.tiles_w * size;
    to.rows = static_cast<int>(std::min(size, height - row));
    to.columns = static_cast<int>(std::min(size, width - column));
    to.m = m + n * tile_stride;
    to.y = out.data<T>() + ((image * height + row) * width + column) * outputs + first_output;
    // Prefetched while the tile before is transformed.
    constexpr std::int64_t line = 64 / sizeof(T);
    for (int i = 0; i < to.rows; ++i)
      for (int j = 0; j < to.columns; ++j)
        for (std::int64_t c = 0; c < to.channels; c += line)
          __builtin_prefetch(to.y + i * to.row_stride + j * to.pixel_stride + c, 1, 2);
    return to;
  };
  WinogradOutput<T> next = found(0);
  for (std::int64_t n = 0; n < tiles.count; ++n) {
    tile = next;
    if (n + 1 < tiles.count) next = found(n + 1);
    form.transforms.output(tile);
  }
}

void make_absolute(float* values, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) values[i] = std::abs(values[i]);
}

template <class T>
void winograd_conv(const Form<T>& form, View in, View filter, MutView out) {
  const std::int64_t inputs = in.dim(3), elements = form.elements();
  const TilePlan p = make_plan(out, inputs, form.axis.outputs);
  const auto* packed = reinterpret_cast<const float*>(filter.sealed->derived(
      fmt::format("winograd4x4/{}/{}{}", form.name, p.block, std::is_same_v<T, float> ? "" : "/bf16"),
      static_cast<std::size_t>(p.blocks * panels * inputs * p.block) * sizeof(float), [&](std::byte* to) {
        auto* u = reinterpret_cast<float*>(to);
        transform_filter<T>(filter, form, p.block, u);
        if (form.sizes) make_absolute(u, p.blocks * panels * inputs * p.block);
      }));
  // A job's products M hold its blocks of outputs side by side.
  const std::int64_t job_outputs = p.blocks_each * p.block;
  const std::int64_t v_stride = p.chunk * inputs + gap, m_stride = p.chunk * job_outputs + gap;
  const std::int64_t left_h = out.dim(1) % form.axis.outputs, left_w = out.dim(2) % form.axis.outputs;
  const ConvLeaf& leaf = conv_leaf();
  parallel_for(p.chunks * p.parts, 1, [&](std::int64_t job, std::int64_t) {
    const std::int64_t begin = job / p.parts * p.chunk, end = std::min(p.tiles, begin + p.chunk),
                       first_block = job % p.parts * p.blocks_each,
                       last_block = std::min(p.blocks, first_block + p.blocks_each);
    if (first_block >= last_block) return;
    float* v = scratch(Scratch::winograd, static_cast<std::size_t>(elements * v_stride));
    float* m = scratch(Scratch::pixels, static_cast<std::size_t>(elements * m_stride));
    const Tiles tiles = sort_tiles(out, form.axis.outputs, p, begin, end);
    transform_inputs<T>(in, form, p, tiles, v, v_stride);
    for (std::int64_t e = 0; form.sizes && e < elements; ++e)
      make_absolute(v + e * v_stride, tiles.count * inputs);
    // Element by element, so that its rows of V come from beyond the second-level cache only once.
    ProductCall call{};
    call.inputs = inputs;
    call.vectors = static_cast<int>(p.block) / leaf.lanes;
    call.m_stride = job_outputs;
    const auto panel_of = [&](std::int64_t b, std::int64_t e) {
      const auto row = static_cast<int>(e / form.axis.elements),
                 column = static_cast<int>(e % form.axis.elements);
      return packed + (b * panels + form.panel(row, column)) * inputs * p.block;
    };
    std::int64_t e = 0;
    for (int row = 0; row < form.axis.elements; ++row)
      for (int column = 0; column < form.axis.elements; ++column, ++e) {
        const bool idle_row = form.idle(row, left_h), idle_column = form.idle(column, left_w);
        const std::int64_t first = tiles.first(idle_row);
        call.v = v + e * v_stride + first * inputs;
        call.rows = tiles.last(idle_row, idle_column) - first;
        for (std::int64_t b = first_block; b < last_block; ++b) {
          call.panel = panel_of(b, e);
          call.next = b + 1 < last_block ? panel_of(b + 1, e)
                      : e + 1 < elements ? panel_of(first_block, e + 1)
                                         : nullptr;
          call.m = m + e * m_stride + first * job_outputs + (b - first_block) * p.block;
          leaf.product(call);
        }
      }
    transform_outputs<T>(m, m_stride, job_outputs, form, p, tiles, first_block * p.block, out);
  });
}

std::atomic<bool>& enabled() {
  static std::atomic<bool> on = env_flag("REPRISE_WINOGRAD");
  return on;
}

bool is_strided(const Conv2dArgs& args) {
  return args.stride == std::array{2, 2};
}

}  // namespace

bool winograd_enabled() {
  return enabled();
}
void set_winograd(bool on) {
  enabled() = on;
}

template <class T>
bool winograd_applies(const Conv2dArgs& args, View filter, const MutView& out) {
  // In bf16 the direct form is faster where the machine has AMX and, with stride 2,
  // AVX512_BF16. Other machines choose the same form, so that they compute the same bits.
  if (std::is_same_v<T, BFloat16> && bf16_order() == Bf16Order::blocks) return false;
  const bool strided = is_strided(args) && args.padding == std::array{1, 1} && std::is_same_v<T, float>;
  return winograd_enabled() && filter.sealed != nullptr && filter.dim(1) == 3 && filter.dim(2) == 3 &&
         args.groups == 1 && args.dilation == std::array{1, 1} &&
         (args.stride == std::array{1, 1} || strided) &&
         std::min(filter.dim(0), filter.dim(3)) >= (strided ? 32 : 16) && out.dim(1) >= 4 && out.dim(2) >= 4;
}

template <class T>
void winograd_fwd(const Conv2dArgs& args, View x, View filter, MutView y) {
  const std::array<std::int64_t, 2> origin{args.padding[0], args.padding[1]};
  if constexpr (std::is_same_v<T, float>)
    if (is_strided(args)) {
      winograd_conv<T>({"strided", winograd_strided, winograd_strided_leaf().fwd, false, origin}, x, filter,
                       y);
      return;
    }
  winograd_conv<T>({"fwd", winograd_unit, winograd_unit_leaf<T>(), false, origin}, x, filter, y);
}

template <class T>
void winograd_dgrad(const Conv2dArgs& args, bool accumulate, View dy, View filter, MutView dx) {
  if constexpr (std::is_same_v<T, float>)
    if (is_strided(args)) {
      winograd_conv<T>(
          {"strided dgrad", winograd_strided_grad, winograd_strided_leaf().grad, true, {0, 0}, accumulate},
          dy, filter, dx);
      return;
    }
  const std::array<std::int64_t, 2> origin{2 - args.padding[0], 2 - args.padding[1]};
  winograd_conv<T>({"dgrad", winograd_unit, winograd_unit_leaf<T>(), true, origin, accumulate}, dy, filter,
                   dx);
}

void winograd_sizes(const Conv2dArgs& args, bool absolute, View x, View filter, MutView y) {
  const bool strided = is_strided(args);
  const WinogradSizesLeaf& leaf = winograd_sizes_leaf();
  winograd_conv<float>({strided ? "strided sizes" : "sizes",
                        strided ? winograd_strided : winograd_unit,
                        (absolute ? leaf.sizes : leaf.values)[strided],
                        false,
                        {args.padding[0], args.padding[1]},
                        false,
                        true},
                       x, filter, y);
}

template bool winograd_applies<float>(const Conv2dArgs&, View, const MutView&);
template bool winograd_applies<BFloat16>(const Conv2dArgs&, View, const MutView&);
REPRISE_CPU_KERNEL(winograd_fwd);
REPRISE_CPU_KERNEL(winograd_dgrad);

}  // namespace reprise::kernels::cpu
