#include "engine/kernels/cpu/conv/tap_conv.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>

#include "engine/base/parallel.h"
#include "engine/core/tensor.h"
#include "engine/kernels/cpu/base/chunks.h"
#include "engine/kernels/cpu/base/scratch.h"
#include "engine/kernels/cpu/conv/tap_plan.h"
#include "engine/kernels/cpu/leaf/block_tile.h"
#include "engine/kernels/cpu/leaf/conv_tile.h"

namespace reprise::kernels::cpu {
namespace {

constexpr std::int64_t small_weights = 64 << 10;  // words: 256 KiB stay in the second-level cache

// Returns the tile that computes the fewest unneeded pixels, among those with the right
// number of vectors; the preferred one if it computes hardly more.
template <class T>
const TileVariant& choose_tile(const TapConv<T>& t, std::int64_t row_pixels) {
  const ConvLeaf& leaf = conv_leaf();
  const int vectors = static_cast<int>(block_outputs(t.o)) / leaf.lanes;
  const TileVariant* best = nullptr;
  std::int64_t best_pixels = 0;
  for (int i = 0; i < leaf.variant_count; ++i) {
    const TileVariant& v = leaf.variants[i];
    if (v.vectors != vectors) continue;
    const std::int64_t pixels = div_up(row_pixels, v.pixels) * v.pixels;
    if (best == nullptr || (pixels < best_pixels && 32 * (best_pixels - pixels) > pixels))
      best = &v, best_pixels = pixels;
  }
  return *best;
}

// Returns whether a unit's copied pixels, and its outputs, are one long row (a single tap).
template <class T>
bool is_one_row(const TapConv<T>& t, const TapPlan& p) {
  return p.copy_w == t.ow && p.copy_h == p.rows && p.stride_w == 1 && t.out_row == t.ow * t.out_pixel &&
         (p.images == 1 || (p.rows == t.oh && t.out_image == t.oh * t.out_row));
}

template <class T>
struct Segment {
  const float* in;  // words
  T* out;
  int valid;
};

// Lists a unit's segments of `width` pixels, and copies its input unless it is read in
// place. Returns the words from pixel to pixel.
template <class T>
std::int64_t make_segments(const TapConv<T>& t, const TapPlan& p, std::int64_t width, std::int64_t unit,
                           std::vector<Segment<T>>& segments) {
  segments.clear();
  std::int64_t stride = 0;
  const auto row = [&](const float* in, T* out, std::int64_t length) {
    for (std::int64_t q = 0; q < length; q += width)
      segments.push_back({in + q * stride, out + q * t.out_pixel,
                          static_cast<int>(std::min<std::int64_t>(width, length - q))});
  };
  if (p.flat) {
    const std::int64_t begin = unit * p.rows, end = std::min(t.n * t.h * t.w, begin + p.rows);
    const std::int64_t whole = p.in_place ? (end - begin) / width * width : 0, left = end - begin - whole;
    const auto in_memory = [&t](std::int64_t pixel) { return t.in + t.c_begin + pixel * t.in_channels; };
    stride = p.in_place ? t.in_channels * std::int64_t{sizeof(T)} / 4 : p.pixel_words;
    T* out = t.out + begin * t.out_pixel;
    row(reinterpret_cast<const float*>(in_memory(begin)), out, whole);
    if (left == 0) return stride;
    // The rest is copied, so that nothing is read past the end.
    const std::int64_t room = div_up(left, width) * width;
    float* copy = scratch(Scratch::pixels, static_cast<std::size_t>(room * stride));
    if (p.in_place) {
      std::fill_n(copy, room * stride, 0.0F);
      for (std::int64_t q = 0; q < left; ++q)
        std::memcpy(copy + q * stride, in_memory(begin + whole + q),
                    static_cast<std::size_t>(t.c) * sizeof(T));
    } else {
      float* copied_end = copy_pixels(t, p, begin, left, copy);
      std::fill(copied_end, copy + room * stride, 0.0F);
    }
    row(copy, out + whole * t.out_pixel, left);
    return stride;
  }
  const std::int64_t first_image = unit / p.row_units * p.images,
                     last_image = std::min(t.n, first_image + p.images);
  const std::int64_t first_row = unit % p.row_units * p.rows, last_row = std::min(t.oh, first_row + p.rows);
  // A row's last segment may reach into the next row; that of the last row, into this slack.
  const auto slack = (width * p.stride_w + 1) * p.pixel_words;
  const float* copy = copy_images(t, p, first_image, last_image, first_row, slack);
  stride = p.stride_w * p.pixel_words;
  const std::int64_t images = last_image - first_image, rows = last_row - first_row;
  T* out = t.out + first_image * t.out_image + first_row * t.out_row;
  const bool one_row = is_one_row(t, p);
  if (one_row) row(copy, out, images * rows * t.ow);
  for (std::int64_t n = 0; n < images && !one_row; ++n)
    for (std::int64_t r = 0; r < rows; ++r)
      row(copy + n * p.image_words + r * p.stride_h * p.row_words, out + n * t.out_image + r * t.out_row,
          t.ow);
  return stride;
}

// Computes a unit's tiles with blocks [block_begin, block_end) of outputs: as many blocks at a
// time as have panels that fit in cache, so that most of a pixel's outputs are written together.
template <class T>
void run_tiles(const TapConv<T>& t, const TileVariant& v, const PackedWeights& weights,
               const std::vector<Segment<T>>& segments, TileCall call, std::int64_t block_begin,
               std::int64_t block_end) {
  const auto panel = call.run_count * call.run_length * weights.block;
  const auto count = static_cast<std::int64_t>(segments.size());
  const bool pixels_follow = call.pixels_follow;
  const Finish<T>& f = t.finish;
  call.activation = f.activation, call.adds = f.adds;
  const auto run = [&](std::int64_t b, std::int64_t s) {
    call.pixels_follow = pixels_follow && b == block_begin;
    call.panel = weights.data + b * panel;
    call.channels = std::min(weights.block, t.o - b * weights.block);
    if (f.mean != nullptr) {
      const std::int64_t first = b * weights.block;
      call.mean = f.mean + first, call.scale = f.scale + first, call.shift = f.shift + first;
    }
    for (int i = 0; i < v.segments; ++i) {
      const bool there = s + i < count;
      const Segment<T>& g = segments[static_cast<std::size_t>(there ? s + i : s)];
      T* out = g.out + b * weights.block;
      call.in[i] = g.in;
      call.out[i] = out;
      call.residual[i] = f.residual != nullptr ? f.residual + (out - t.out) : nullptr;
      call.valid[i] = there ? g.valid : 0;
    }
    if constexpr (std::is_same_v<T, float>)
      v.run(call);
    else
      v.run_bf16(call);
  };
  const std::int64_t group = std::max<std::int64_t>(1, small_weights / std::max<std::int64_t>(1, panel));
  const std::int64_t tiles = div_up(count, v.segments),
                     steps = call.run_count * div_up(call.run_length, line_words);  // of a call
  for (std::int64_t g = block_begin; g < block_end; g += group) {
    const std::int64_t end = std::min(block_end, g + group);
    // Prefetches the next blocks' weights while these are used.
    std::int64_t lines = (std::min(block_end, end + group) - end) * panel / line_words;
    const std::int64_t share = div_up(lines, std::max<std::int64_t>(1, tiles * (end - g) * steps));
    call.ahead = weights.data + end * panel;
    for (std::int64_t s = 0; s < count; s += v.segments)
      for (std::int64_t b = g; b < end; ++b) {
        call.ahead_lines = lines > 0 ? share : 0;
        run(b, s);
        call.ahead += call.ahead_lines * steps * line_words, lines -= call.ahead_lines * steps;
      }
  }
}

}  // namespace

std::int64_t block_outputs(std::int64_t o) {
  const std::int64_t lanes = conv_leaf().lanes;
  return o <= lanes ? lanes : 2 * lanes;
}

namespace {

template <class T>
std::int64_t block_of(const TapConv<T>& t) {
  if (word_form<T>() != WordForm::blocks) return block_outputs(t.o);
  return t.o <= tile_outputs ? tile_outputs : 2 * tile_outputs;
}

template <class T>
std::size_t packed_words(const TapConv<T>& t) {
  const std::int64_t block = block_of(t);
  return static_cast<std::size_t>(div_up(t.o, block) * block * tap_words(t)) * t.rows.size() * t.cols.size();
}

float rounded(float w) {
  return to_float(to_bfloat16(w));
}
float pair_of(float even, float odd) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(to_bfloat16(odd).bits) << 16 |
                              to_bfloat16(even).bits);
}

template <class T>
void pack_weights(const TapConv<T>& t, const WeightAt& weight, float* to) {
  const std::int64_t block = block_of(t), words = tap_words(t),
                     taps = std::ssize(t.rows) * std::ssize(t.cols);
  // In the form `blocks`: a block's pairs. Each tile of outputs has rows of its own in it.
  const std::int64_t pairs = word_form<T>() == WordForm::blocks ? pairs_of_blocks(t) : 0;
  parallel_for(div_up(t.o, block), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b) {
      float* panel = to + b * taps * words * block;
      std::fill_n(panel, taps * words * block, 0.0F);
      const std::int64_t count = std::min(block, t.o - b * block);
      for (std::int64_t i = 0; i < taps * words; ++i) {
        const std::int64_t tap = i / words, row = tap / std::ssize(t.cols), col = tap % std::ssize(t.cols);
        float* p = panel + (pairs > 0 ? i / pairs * pairs * block + i % pairs * tile_outputs : i * block);
        std::int64_t stride = 0;
        const auto outputs = [&](std::int64_t c) {
          const float* first = weight(row, col, c, &stride);
          return first + b * block * stride;
        };
        if (const std::int64_t c = i % words; std::is_same_v<T, float>) {
          const float* w = outputs(c);
          for (std::int64_t o = 0; o < count; ++o) p[o] = w[o * stride];
        } else if (word_form<T>() == WordForm::swapped) {  // in widen_swapped's order
          if ((c ^ 1) >= t.c) continue;
          const float* w = outputs(c ^ 1);
          for (std::int64_t o = 0; o < count; ++o) p[o] = rounded(w[o * stride]);
        } else if (2 * c < t.c) {
          const float *even = outputs(2 * c), *odd = 2 * c + 1 < t.c ? outputs(2 * c + 1) : nullptr;
          for (std::int64_t o = 0; o < count; ++o) {
            float* at = pairs > 0 ? p + o / tile_outputs * pairs * tile_outputs + o % tile_outputs : p + o;
            *at = pair_of(even[o * stride], odd != nullptr ? odd[o * stride] : 0);
          }
        }
      }
    }
  });
}

}  // namespace

template <class T>
PackedWeights packed_weights(const TapConv<T>& t, const Storage* sealed, const std::string& key,
                             const WeightAt& weight) {
  const std::int64_t block = block_of(t);
  if (sealed != nullptr) {
    const char* const forms[] = {"", "/bf16", "/bf16 pairs", "/bf16 blocks"};  // as WordForm
    const char* form = forms[static_cast<int>(word_form<T>())];
    const std::byte* p =
        sealed->derived(key + "/" + std::to_string(block) + form, packed_words(t) * sizeof(float),
                        [&](std::byte* to) { pack_weights(t, weight, reinterpret_cast<float*>(to)); });
    return {reinterpret_cast<const float*>(p), block};
  }
  float* p = scratch(Scratch::weights, packed_words(t));
  pack_weights(t, weight, p);
  return {p, block};
}

template <class T>
void tap_conv(const TapConv<T>& t, const PackedWeights& weights) {
  if constexpr (std::is_same_v<T, BFloat16>)
    if (word_form<T>() == WordForm::blocks) {
      tap_conv_blocks(t, weights);
      return;
    }
  const TapPlan plan = make_plan(t, weights.block);
  const std::int64_t units = plan.image_units * plan.row_units;
  const std::int64_t blocks_each = div_up(plan.blocks, plan.block_units);
  const TileVariant& v = choose_tile(t, plan.flat             ? plan.rows
                                        : is_one_row(t, plan) ? plan.images * plan.rows * t.ow
                                                              : t.ow);
  UnitsMade made(t, plan);
  const SameUnit same_unit;
  parallel_for(units * plan.block_units, 1, [&](std::int64_t job, std::int64_t) {
    const std::int64_t unit = job / plan.block_units, part = job % plan.block_units;
    const std::int64_t block_begin = part * blocks_each,
                       block_end = std::min(plan.blocks, block_begin + blocks_each);
    if (block_begin >= block_end) return made.done(unit);
    thread_local std::vector<Segment<T>> segments;
    thread_local std::int64_t in_stride;
    if (!same_unit(unit)) in_stride = make_segments(t, plan, v.pixels, unit, segments);
    TileCall call{};
    call.in_stride = in_stride, call.out_stride = t.out_pixel;
    call.pixels_follow = plan.flat && plan.in_place;
    call.runs = plan.runs.data();
    call.run_count = std::ssize(plan.runs), call.run_length = plan.run_length;
    run_tiles(t, v, weights, segments, call, block_begin, block_end);
    made.done(unit);
  });
}

template PackedWeights packed_weights(const TapConv<float>&, const Storage*, const std::string&,
                                      const WeightAt&);
template PackedWeights packed_weights(const TapConv<BFloat16>&, const Storage*, const std::string&,
                                      const WeightAt&);
template void tap_conv(const TapConv<float>&, const PackedWeights&);
template void tap_conv(const TapConv<BFloat16>&, const PackedWeights&);

}  // namespace reprise::kernels::cpu
