#include "engine/kernels/cpu/tap_conv.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>

#include "engine/core/parallel.h"
#include "engine/core/tensor.h"
#include "engine/kernels/cpu/chunks.h"
#include "engine/kernels/cpu/leaf/conv_tail.h"
#include "engine/kernels/cpu/leaf/conv_tile.h"
#include "engine/kernels/cpu/scratch.h"

namespace reprise::kernels::cpu {
namespace {

// Whether tiles read pairs of channels; else the channels of bf16 are widened, each pair turned round.
template <class T>
bool in_pairs() {
  return std::is_same_v<T, BFloat16> && conv_leaf().pairs;
}
// The channels of a pixel as tiles see them: whole pairs of bf16, the second of the last one perhaps 0.
template <class T>
std::int64_t channels_of(const TapConv<T>& t) {
  return std::is_same_v<T, BFloat16> ? div_up(t.c, 2) * 2 : t.c;
}
template <class T>
std::int64_t words_of(const TapConv<T>& t) {
  return in_pairs<T>() ? channels_of(t) / 2 : channels_of(t);
}

// The tile that computes the fewest outputs nobody wants, among those with the right width.
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
    if (best == nullptr || pixels < best_pixels) best = &v, best_pixels = pixels;
  }
  return *best;
}

// The work is cut into units: some images, or some rows of one image, times some blocks of outputs. How is
// decided by the shapes alone.
struct Plan {
  bool flat;                  // one tap, stride 1: the pixels of all images are one long row
  bool in_place;              // read where it lies
  std::int64_t images, rows;  // of a unit
  std::int64_t image_units, row_units, block_units, blocks;
  // A unit's copy of the input: from pixel to pixel in the image and in the copy, which leaves out what a
  // single strided tap never reads.
  std::int64_t step_w, step_h, stride_w, stride_h;
  std::int64_t copy_w, copy_h, pixel_words, image_words;
};

constexpr std::int64_t copy_budget = 240 << 10;   // words: 960 KiB, what a core's L2 holds beside a panel
constexpr std::int64_t unit_pixels = 392;         // enough tiles to use a panel that was fetched once
constexpr std::int64_t small_weights = 64 << 10;  // words: 256 KiB, which stay in L2

// Words from pixel to pixel of a copy: a tile reads the same channel of its pixels together, and where
// these lie a multiple of 4 KiB apart they evict each other from the first-level cache.
std::int64_t spread(std::int64_t words) {
  return words % 1024 == 0 ? words + 16 : words;
}

template <class T>
Plan make_plan(const TapConv<T>& t, std::int64_t block) {
  Plan p{};
  p.blocks = div_up(t.o, block);
  p.flat = t.rows.size() == 1 && t.cols.size() == 1 && t.stride_h == 1 && t.stride_w == 1 &&
           t.row_origin == 0 && t.col_origin == 0 && t.oh == t.h && t.ow == t.w &&
           t.out_row == t.ow * t.out_pixel && t.out_image == t.oh * t.out_row;
  const std::int64_t words = words_of(t), span_w = t.cols.back() + 1, span_h = t.rows.back() + 1;
  p.pixel_words = spread(words);
  p.step_w = t.cols.size() == 1 ? t.stride_w : 1, p.stride_w = t.stride_w / p.step_w;
  p.step_h = t.rows.size() == 1 ? t.stride_h : 1, p.stride_h = t.stride_h / p.step_h;
  p.copy_w = (t.ow - 1) * p.stride_w + span_w;
  const auto height = [&](std::int64_t rows) { return (rows - 1) * p.stride_h + span_h; };
  if (p.flat) {
    const std::int64_t stride = t.in_channels * std::int64_t{sizeof(T)} / 4;
    p.in_place = spread(stride) == stride &&
                 (std::is_same_v<T, float> ||
                  (in_pairs<T>() && t.c % 2 == 0 && t.c_begin % 2 == 0 && t.in_channels % 2 == 0));
    p.images = 1;
    constexpr std::int64_t step = 84;  // what the tiles of every instruction set divide
    p.rows = std::clamp<std::int64_t>(copy_budget / words / step * step, step, 784);  // here: pixels
    p.rows = std::min(p.rows, t.n * t.h * t.w);
    p.image_units = 1;
    p.row_units = div_up(t.n * t.h * t.w, p.rows);
  } else {
    p.rows = t.oh;
    while (p.rows > 1 && height(p.rows) * p.copy_w * p.pixel_words > copy_budget) p.rows = div_up(p.rows, 2);
    p.row_units = div_up(t.oh, p.rows);
    p.images = 1;
    if (p.row_units == 1) {
      const std::int64_t by_size =
          std::max<std::int64_t>(1, copy_budget / (height(t.oh) * p.copy_w * p.pixel_words));
      p.images = std::min({t.n, by_size, div_up(unit_pixels, t.oh * t.ow)});
      if (p.images > 2) p.images -= p.images % 2;  // a tile may hold two rows, of which there may be 7
    }
    p.image_units = div_up(t.n, p.images);
  }
  p.copy_h = height(p.rows);
  p.image_words = p.copy_h * p.copy_w * p.pixel_words;
  // Few units (small batches): share the blocks of outputs out as well.
  const std::int64_t units = p.image_units * p.row_units;
  p.block_units = units >= 8 ? 1 : std::min(p.blocks, div_up(8, units));
  return p;
}

// Copies the channels read of `pixels` pixels in a row, as tiles want them; returns what lies behind.
template <class T>
float* copy_pixels(const TapConv<T>& t, const Plan& p, const T* from, std::int64_t pixels, float* to) {
  const std::int64_t words = words_of(t), whole = t.c / 2 * 2;
  const auto copy = [&](const T* values, std::int64_t n, float* out) {
    if constexpr (std::is_same_v<T, float>)
      std::memcpy(out, values, static_cast<std::size_t>(n) * sizeof(float));
    else if (in_pairs<T>())
      std::memcpy(out, values, static_cast<std::size_t>(n) * sizeof(T));
    else
      conv_leaf().widen_swapped(values, out, n);
  };
  if (t.c == t.in_channels && channels_of(t) == t.c && p.step_w == 1 && p.pixel_words == words) {
    copy(from, pixels * t.c, to);
    return to + pixels * words;
  }
  for (std::int64_t q = 0; q < pixels; ++q, from += p.step_w * t.in_channels, to += p.pixel_words) {
    if (std::is_same_v<T, float> || whole == t.c) {
      copy(from, t.c, to);
    } else {
      const T last[2] = {from[t.c - 1], T{}};
      copy(from, whole, to);
      copy(last, 2, to + whole * words / channels_of(t));
    }
  }
  return to;
}

// Copies copy_h rows of one image from `first` on, the channels read, with zeros outside.
template <class T>
void copy_padded(const TapConv<T>& t, const Plan& p, std::int64_t image, std::int64_t first, float* to) {
  const std::int64_t left = std::clamp<std::int64_t>(div_up(-t.col_origin, p.step_w), 0, p.copy_w);
  const std::int64_t right = std::clamp(div_up(t.w - t.col_origin, p.step_w), left, p.copy_w);
  const auto zeros = [&p](float* at, std::int64_t pixels) {
    std::memset(at, 0, static_cast<std::size_t>(pixels * p.pixel_words) * sizeof(float));
    return at + pixels * p.pixel_words;
  };
  for (std::int64_t r = 0; r < p.copy_h; ++r) {
    const std::int64_t h = first + r * p.step_h, w = t.col_origin + left * p.step_w;
    if (h < 0 || h >= t.h || left == right) {
      to = zeros(to, p.copy_w);
      continue;
    }
    to = zeros(to, left);
    to =
        copy_pixels(t, p, t.in + ((image * t.h + h) * t.w + w) * t.in_channels + t.c_begin, right - left, to);
    to = zeros(to, p.copy_w - right);
  }
}

// Runs of contiguous inputs: neighbouring tap columns lie side by side in the copy.
template <class T>
void make_runs(const TapConv<T>& t, const Plan& p, std::vector<std::int64_t>& runs, std::int64_t& length) {
  const std::int64_t words = words_of(t), cols = std::ssize(t.cols), row_words = p.copy_w * p.pixel_words;
  const bool contiguous = t.cols.back() + 1 == cols && p.pixel_words == words;
  length = contiguous ? words * cols : words;
  for (std::int64_t a : t.rows) {
    if (contiguous) {
      runs.push_back(a * row_words);
    } else {
      for (std::int64_t b : t.cols) runs.push_back(a * row_words + b * p.pixel_words);
    }
  }
}

template <class T>
struct Segment {
  const float* in;  // words
  T* out;
  int valid;
};

// What finishing a segment will write and read, into the second cache.
template <class T>
void ask_for(const TapConv<T>& t, const T* out, int pixels, std::int64_t channels) {
  for (int q = 0; q < pixels; ++q)
    for (std::int64_t c = 0; c < channels; c += 64 / std::int64_t{sizeof(T)}) {
      const T* y = out + q * t.out_pixel + c;
      __builtin_prefetch(y, 1, 2);
      if (t.finish.residual != nullptr) __builtin_prefetch(t.finish.residual + (y - t.out), 0, 2);
    }
}

// Every tile of the unit with every block of outputs: one block after the other, so that its panel stays in
// cache; or where all weights do, one tile after the other.
template <class T>
void run_tiles(const TapConv<T>& t, const TileVariant& v, const PackedWeights& weights,
               const std::vector<Segment<T>>& segments, TileCall call, std::int64_t block_begin,
               std::int64_t block_end) {
  const auto panel = call.run_count * call.run_length * weights.block;
  const auto count = static_cast<std::int64_t>(segments.size());
  const bool pixels_follow = call.pixels_follow;
  const Finish<T>& finish = t.finish;
  // A tile that is to be finished goes to where the cache holds it: outputs 4 KiB apart would evict each
  // other.
  T* unfinished = nullptr;
  if (finish.mean != nullptr || finish.adds) {
    unfinished = scratch_of<T>(2, static_cast<std::size_t>(v.segments * v.pixels * weights.block));
    call.out_stride = weights.block;
  }
  const auto run = [&](std::int64_t b, std::int64_t s) {
    call.pixels_follow = pixels_follow && b == block_begin;
    call.panel = weights.data + b * panel;
    call.channels = std::min(weights.block, t.o - b * weights.block);
    T* out[max_segments];
    for (int i = 0; i < v.segments; ++i) {
      const bool there = s + i < count;
      const Segment<T>& g = segments[static_cast<std::size_t>(there ? s + i : s)];
      call.in[i] = g.in;
      out[i] = g.out + b * weights.block;
      call.out[i] = unfinished != nullptr ? unfinished + i * v.pixels * weights.block : out[i];
      call.valid[i] = there ? g.valid : 0;
    }
    for (int i = 0; unfinished != nullptr && i < v.segments; ++i)
      ask_for(t, out[i], call.valid[i], call.channels);
    if constexpr (std::is_same_v<T, float>)
      v.run(call);
    else
      v.run_bf16(call);
    const std::int64_t first = b * weights.block;
    for (int i = 0; finish.adds && i < v.segments; ++i)
      conv_tail_leaf<T>().add(static_cast<const T*>(call.out[i]), weights.block, out[i], call.valid[i],
                              t.out_pixel, call.channels);
    for (int i = 0; finish.mean != nullptr && i < v.segments; ++i)
      conv_tail_leaf<T>().finish(static_cast<const T*>(call.out[i]), weights.block, finish.mean + first,
                                 finish.scale + first, finish.shift + first,
                                 finish.residual != nullptr ? finish.residual + (out[i] - t.out) : nullptr,
                                 finish.relu, out[i], nullptr, call.valid[i], t.out_pixel, call.channels);
  };
  if (panel * (block_end - block_begin) <= small_weights) {
    for (std::int64_t s = 0; s < count; s += v.segments)
      for (std::int64_t b = block_begin; b < block_end; ++b) run(b, s);
  } else {
    for (std::int64_t b = block_begin; b < block_end; ++b)
      for (std::int64_t s = 0; s < count; s += v.segments) run(b, s);
  }
}

}  // namespace

std::int64_t block_outputs(std::int64_t o) {
  const std::int64_t lanes = conv_leaf().lanes;
  return o <= lanes ? lanes : 2 * lanes;
}

namespace {

template <class T>
std::size_t packed_words(const TapConv<T>& t) {
  const std::int64_t block = block_outputs(t.o);
  return static_cast<std::size_t>(div_up(t.o, block) * block * words_of(t)) * t.rows.size() * t.cols.size();
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
  const std::int64_t block = block_outputs(t.o), words = words_of(t),
                     taps = std::ssize(t.rows) * std::ssize(t.cols);
  parallel_for(div_up(t.o, block), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b) {
      float* p = to + b * taps * words * block;
      const std::int64_t count = std::min(block, t.o - b * block);
      for (std::int64_t i = 0; i < taps * words; ++i, p += block) {
        std::fill_n(p, block, 0.0F);
        const std::int64_t tap = i / words, row = tap / std::ssize(t.cols), col = tap % std::ssize(t.cols);
        std::int64_t stride = 0;
        const auto outputs = [&](std::int64_t c) {
          return weight(row, col, c, &stride) + b * block * stride;
        };
        if (const std::int64_t c = i % words; std::is_same_v<T, float>) {
          const float* w = outputs(c);
          for (std::int64_t o = 0; o < count; ++o) p[o] = w[o * stride];
        } else if (!in_pairs<T>()) {  // as widen_swapped puts the channels
          if ((c ^ 1) >= t.c) continue;
          const float* w = outputs(c ^ 1);
          for (std::int64_t o = 0; o < count; ++o) p[o] = rounded(w[o * stride]);
        } else {
          const float *even = outputs(2 * c), *odd = 2 * c + 1 < t.c ? outputs(2 * c + 1) : nullptr;
          for (std::int64_t o = 0; o < count; ++o)
            p[o] = pair_of(even[o * stride], odd != nullptr ? odd[o * stride] : 0);
        }
      }
    }
  });
}

}  // namespace

template <class T>
PackedWeights packed_weights(const TapConv<T>& t, const Storage* sealed, const std::string& key,
                             const WeightAt& weight) {
  const std::int64_t block = block_outputs(t.o);
  if (sealed != nullptr) {
    const char* form = std::is_same_v<T, float> ? "" : in_pairs<T>() ? "/bf16 pairs" : "/bf16";
    const std::byte* p =
        sealed->derived(key + "/" + std::to_string(block) + form, packed_words(t) * sizeof(float),
                        [&](std::byte* to) { pack_weights(t, weight, reinterpret_cast<float*>(to)); });
    return {reinterpret_cast<const float*>(p), block};
  }
  float* p = scratch(0, packed_words(t));
  pack_weights(t, weight, p);
  return {p, block};
}

template <class T>
void tap_conv(const TapConv<T>& t, const PackedWeights& weights) {
  const Plan plan = make_plan(t, weights.block);
  const std::int64_t units = plan.image_units * plan.row_units;
  const std::int64_t blocks_each = div_up(plan.blocks, plan.block_units);
  const std::int64_t pixels = plan.flat ? t.n * t.h * t.w : 0, words = words_of(t);
  const TileVariant& v = choose_tile(t, plan.flat ? plan.rows : t.ow);

  parallel_for(units * plan.block_units, 1, [&](std::int64_t job, std::int64_t) {
    const std::int64_t unit = job / plan.block_units, part = job % plan.block_units;
    const std::int64_t block_begin = part * blocks_each,
                       block_end = std::min(plan.blocks, block_begin + blocks_each);
    if (block_begin >= block_end) return;
    thread_local std::vector<Segment<T>> segments;
    thread_local std::vector<std::int64_t> runs;
    segments.clear();
    runs.clear();
    TileCall call{};
    call.out_stride = t.out_pixel;

    if (plan.flat) {
      const std::int64_t begin = unit * plan.rows, end = std::min(pixels, begin + plan.rows);
      const std::int64_t whole = plan.in_place ? (end - begin) / v.pixels * v.pixels : 0;
      const T* in = t.in + t.c_begin;
      call.in_stride = plan.in_place ? t.in_channels * std::int64_t{sizeof(T)} / 4 : plan.pixel_words;
      for (std::int64_t q = begin; q < begin + whole; q += v.pixels)
        segments.push_back(
            {reinterpret_cast<const float*>(in + q * t.in_channels), t.out + q * t.out_pixel, v.pixels});
      if (begin + whole < end) {  // a copy, so that nothing is read past the end
        const std::int64_t left = end - begin - whole, room = div_up(left, v.pixels) * v.pixels;
        float* copy = scratch(1, static_cast<std::size_t>(room * call.in_stride));
        if (plan.in_place) {
          std::fill_n(copy, room * call.in_stride, 0.0F);
          for (std::int64_t q = 0; q < left; ++q)
            std::memcpy(copy + q * call.in_stride, in + (begin + whole + q) * t.in_channels,
                        static_cast<std::size_t>(t.c) * sizeof(T));
        } else {
          float* behind = copy_pixels(t, plan, in + begin * t.in_channels, left, copy);
          std::fill(behind, copy + room * plan.pixel_words, 0.0F);
        }
        for (std::int64_t q = 0; q < left; q += v.pixels)
          segments.push_back({copy + q * call.in_stride, t.out + (begin + whole + q) * t.out_pixel,
                              static_cast<int>(std::min<std::int64_t>(v.pixels, left - q))});
      }
      runs.push_back(0);
      call.run_length = words;
      call.pixels_follow = plan.in_place;
    } else {
      const std::int64_t first_image = unit / plan.row_units * plan.images;
      const std::int64_t last_image = std::min(t.n, first_image + plan.images);
      const std::int64_t first_row = unit % plan.row_units * plan.rows;
      const std::int64_t last_row = std::min(t.oh, first_row + plan.rows);
      const std::int64_t row_words = plan.copy_w * plan.pixel_words;
      // The last segment of a row may reach past it: into the next row, and past the last one into this
      // slack.
      const auto slack = (v.pixels * plan.stride_w + 1) * plan.pixel_words;
      float* copy = scratch(1, static_cast<std::size_t>(plan.images * plan.image_words + slack));
      std::memset(copy + (last_image - first_image) * plan.image_words, 0,
                  static_cast<std::size_t>(slack) * 4);
      call.in_stride = plan.stride_w * plan.pixel_words;
      for (std::int64_t n = first_image; n < last_image; ++n) {
        float* image = copy + (n - first_image) * plan.image_words;
        copy_padded(t, plan, n, t.row_origin + first_row * t.stride_h, image);
        for (std::int64_t p = first_row; p < last_row; ++p)
          for (std::int64_t q = 0; q < t.ow; q += v.pixels)
            segments.push_back({image + (p - first_row) * plan.stride_h * row_words + q * call.in_stride,
                                t.out + n * t.out_image + p * t.out_row + q * t.out_pixel,
                                static_cast<int>(std::min<std::int64_t>(v.pixels, t.ow - q))});
      }
      make_runs(t, plan, runs, call.run_length);
    }
    call.runs = runs.data();
    call.run_count = std::ssize(runs);
    run_tiles(t, v, weights, segments, call, block_begin, block_end);
  });
}

template PackedWeights packed_weights(const TapConv<float>&, const Storage*, const std::string&,
                                      const WeightAt&);
template PackedWeights packed_weights(const TapConv<BFloat16>&, const Storage*, const std::string&,
                                      const WeightAt&);
template void tap_conv(const TapConv<float>&, const PackedWeights&);
template void tap_conv(const TapConv<BFloat16>&, const PackedWeights&);

}  // namespace reprise::kernels::cpu
