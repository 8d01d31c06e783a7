#include "engine/kernels/cpu/tap_conv.h"

#include <algorithm>
#include <cstring>

#include "engine/core/parallel.h"
#include "engine/kernels/cpu/chunks.h"
#include "engine/kernels/cpu/leaf/conv_tile.h"
#include "engine/kernels/cpu/scratch.h"

namespace reprise::kernels::cpu {
namespace {

// The tile that computes the fewest outputs nobody wants, among those with the right width.
const TileVariant& choose_tile(const TapConv& t, std::int64_t row_pixels) {
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
  bool flat;                  // one tap, stride 1: the pixels of all images are one long row, read in place
  std::int64_t images, rows;  // of a unit
  std::int64_t image_units, row_units, block_units, blocks;
  std::int64_t padded_w, padded_h, image_floats;  // of a unit's copy of the input
};

constexpr std::int64_t copy_budget = 320 << 10;  // floats: 1.25 MiB, what a core's L2 holds beside a panel
constexpr std::int64_t unit_pixels = 392;        // enough tiles to use a panel that was fetched once

Plan make_plan(const TapConv& t, std::int64_t block) {
  Plan p{};
  p.blocks = div_up(t.o, block);
  p.flat = t.rows.size() == 1 && t.cols.size() == 1 && t.stride_h == 1 && t.stride_w == 1 &&
           t.row_origin == 0 && t.col_origin == 0 && t.oh == t.h && t.ow == t.w &&
           t.out_row == t.ow * t.out_pixel && t.out_image == t.oh * t.out_row;
  const std::int64_t span_w = t.cols.back() + 1, span_h = t.rows.back() + 1;
  p.padded_w = (t.ow - 1) * t.stride_w + span_w;
  const auto height = [&](std::int64_t rows) { return (rows - 1) * t.stride_h + span_h; };
  if (p.flat) {
    p.images = 1;
    p.rows = std::min<std::int64_t>(t.n * t.h * t.w, 784);  // here: pixels
    p.image_units = 1;
    p.row_units = div_up(t.n * t.h * t.w, p.rows);
  } else {
    p.rows = t.oh;
    while (p.rows > 1 && height(p.rows) * p.padded_w * t.c > copy_budget) p.rows = div_up(p.rows, 2);
    p.row_units = div_up(t.oh, p.rows);
    p.images = 1;
    if (p.row_units == 1) {
      const std::int64_t by_size = std::max<std::int64_t>(1, copy_budget / (height(t.oh) * p.padded_w * t.c));
      p.images = std::min({t.n, by_size, div_up(unit_pixels, t.oh * t.ow)});
    }
    p.image_units = div_up(t.n, p.images);
  }
  p.padded_h = height(p.rows);
  p.image_floats = p.padded_h * p.padded_w * t.c;
  // Few units (small batches): share the blocks of outputs out as well.
  const std::int64_t units = p.image_units * p.row_units;
  p.block_units = units >= 8 ? 1 : std::min(p.blocks, div_up(8, units));
  return p;
}

// Copies rows [first, first + padded_h) of one image, the channels read, with zeros outside.
void copy_padded(const TapConv& t, const Plan& p, std::int64_t image, std::int64_t first, float* to) {
  const std::int64_t left = std::clamp<std::int64_t>(-t.col_origin, 0, p.padded_w);
  const std::int64_t right = std::clamp(t.w - t.col_origin, left, p.padded_w);
  for (std::int64_t r = 0; r < p.padded_h; ++r, to += p.padded_w * t.c) {
    const std::int64_t h = first + r;
    if (h < 0 || h >= t.h || left == right) {
      std::memset(to, 0, static_cast<std::size_t>(p.padded_w * t.c) * 4);
      continue;
    }
    std::memset(to, 0, static_cast<std::size_t>(left * t.c) * 4);
    const float* from = t.in + ((image * t.h + h) * t.w + t.col_origin + left) * t.in_channels + t.c_begin;
    if (t.c == t.in_channels) {
      std::memcpy(to + left * t.c, from, static_cast<std::size_t>((right - left) * t.c) * 4);
    } else {
      for (std::int64_t q = left; q < right; ++q, from += t.in_channels)
        std::memcpy(to + q * t.c, from, static_cast<std::size_t>(t.c) * 4);
    }
    std::memset(to + right * t.c, 0, static_cast<std::size_t>((p.padded_w - right) * t.c) * 4);
  }
}

// Runs of contiguous inputs: neighbouring tap columns lie side by side when all channels were copied.
void make_runs(const TapConv& t, std::int64_t row_floats, std::int64_t pixel_floats,
               std::vector<std::int64_t>& runs, std::int64_t& length) {
  const bool contiguous =
      pixel_floats == t.c && t.cols.back() + 1 == static_cast<std::int64_t>(t.cols.size());
  length = contiguous ? t.c * static_cast<std::int64_t>(t.cols.size()) : t.c;
  for (std::int64_t a : t.rows) {
    if (contiguous) {
      runs.push_back(a * row_floats);
    } else {
      for (std::int64_t b : t.cols) runs.push_back(a * row_floats + b * pixel_floats);
    }
  }
}

struct Segment {
  const float* in;
  float* out;
  int valid;
};

// Every tile of the unit, one block of outputs after the other, so that a panel stays in cache.
void run_tiles(const TapConv& t, const TileVariant& v, const PackedWeights& weights,
               const std::vector<Segment>& segments, TileCall call, std::int64_t block_begin,
               std::int64_t block_end) {
  const auto k = call.run_count * call.run_length;
  const auto count = static_cast<std::int64_t>(segments.size());
  for (std::int64_t b = block_begin; b < block_end; ++b) {
    call.panel = weights.data + b * k * weights.block;
    call.channels = std::min(weights.block, t.o - b * weights.block);
    for (std::int64_t s = 0; s < count; s += v.segments) {
      for (int i = 0; i < v.segments; ++i) {
        const bool there = s + i < count;
        const Segment& g = segments[static_cast<std::size_t>(there ? s + i : s)];
        call.in[i] = g.in;
        call.out[i] = g.out + b * weights.block;
        call.valid[i] = there ? g.valid : 0;
      }
      v.run(call);
    }
  }
}

}  // namespace

std::int64_t block_outputs(std::int64_t o) {
  const std::int64_t lanes = conv_leaf().lanes;
  return o <= lanes ? lanes : 2 * lanes;
}

std::size_t packed_size(const TapConv& t) {
  const std::int64_t block = block_outputs(t.o);
  return static_cast<std::size_t>(div_up(t.o, block) * block * t.c) * t.rows.size() * t.cols.size();
}

void pack_weights(const TapConv& t, const WeightAt& first, float* to) {
  const std::int64_t block = block_outputs(t.o), rows = std::ssize(t.rows), cols = std::ssize(t.cols);
  parallel_for(div_up(t.o, block), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b) {
      float* p = to + b * rows * cols * t.c * block;
      const std::int64_t count = std::min(block, t.o - b * block);
      for (std::int64_t i = 0; i < rows * cols * t.c; ++i, p += block) {
        std::int64_t stride = 0;
        const float* w = first(i / t.c / cols, i / t.c % cols, i % t.c, &stride) + b * block * stride;
        for (std::int64_t o = 0; o < count; ++o) p[o] = w[o * stride];
        for (std::int64_t o = count; o < block; ++o) p[o] = 0;
      }
    }
  });
}

PackedWeights packed_weights(const TapConv& t, const Storage* sealed, const std::string& key,
                             const WeightAt& first) {
  const std::int64_t block = block_outputs(t.o);
  if (sealed != nullptr) {
    const std::byte* p =
        sealed->derived(key + "/" + std::to_string(block), packed_size(t) * sizeof(float),
                        [&](std::byte* to) { pack_weights(t, first, reinterpret_cast<float*>(to)); });
    return {reinterpret_cast<const float*>(p), block};
  }
  float* p = scratch(0, packed_size(t));
  pack_weights(t, first, p);
  return {p, block};
}

void tap_conv(const TapConv& t, const PackedWeights& weights) {
  const Plan plan = make_plan(t, weights.block);
  const std::int64_t units = plan.image_units * plan.row_units;
  const std::int64_t blocks_each = div_up(plan.blocks, plan.block_units);
  const std::int64_t pixels = plan.flat ? t.n * t.h * t.w : 0;
  const TileVariant& v = choose_tile(t, plan.flat ? plan.rows : t.ow);

  parallel_for(units * plan.block_units, 1, [&](std::int64_t job, std::int64_t) {
    const std::int64_t unit = job / plan.block_units, part = job % plan.block_units;
    const std::int64_t block_begin = part * blocks_each,
                       block_end = std::min(plan.blocks, block_begin + blocks_each);
    if (block_begin >= block_end) return;
    thread_local std::vector<Segment> segments;
    thread_local std::vector<std::int64_t> runs;
    segments.clear();
    runs.clear();
    TileCall call{};
    call.out_stride = t.out_pixel;

    if (plan.flat) {
      const std::int64_t begin = unit * plan.rows, end = std::min(pixels, begin + plan.rows);
      const std::int64_t whole = (end - begin) / v.pixels * v.pixels;
      call.in_stride = t.in_channels;
      const float* in = t.in + t.c_begin;
      for (std::int64_t q = begin; q < begin + whole; q += v.pixels)
        segments.push_back({in + q * t.in_channels, t.out + q * t.out_pixel, v.pixels});
      if (begin + whole < end) {  // a copy, so that nothing is read past the end
        float* tail = scratch(1, static_cast<std::size_t>(v.pixels * t.in_channels));
        std::fill_n(tail, v.pixels * t.in_channels, 0.0f);
        const std::int64_t left = end - begin - whole;
        for (std::int64_t q = 0; q < left; ++q)
          std::memcpy(tail + q * t.in_channels, in + (begin + whole + q) * t.in_channels,
                      static_cast<std::size_t>(t.c) * 4);
        segments.push_back({tail, t.out + (begin + whole) * t.out_pixel, static_cast<int>(left)});
      }
      runs.push_back(0);
      call.run_length = t.c;
    } else {
      const std::int64_t first_image = unit / plan.row_units * plan.images;
      const std::int64_t last_image = std::min(t.n, first_image + plan.images);
      const std::int64_t first_row = unit % plan.row_units * plan.rows;
      const std::int64_t last_row = std::min(t.oh, first_row + plan.rows);
      const std::int64_t row_floats = plan.padded_w * t.c;
      // The last segment of a row may reach past it: into the next row, and past the last one into this
      // slack.
      const auto slack = (v.pixels * t.stride_w + 1) * t.c;
      float* copy = scratch(1, static_cast<std::size_t>(plan.images * plan.image_floats + slack));
      std::memset(copy + (last_image - first_image) * plan.image_floats, 0,
                  static_cast<std::size_t>(slack) * 4);
      call.in_stride = t.stride_w * t.c;
      for (std::int64_t n = first_image; n < last_image; ++n) {
        float* image = copy + (n - first_image) * plan.image_floats;
        copy_padded(t, plan, n, t.row_origin + first_row * t.stride_h, image);
        for (std::int64_t p = first_row; p < last_row; ++p)
          for (std::int64_t q = 0; q < t.ow; q += v.pixels)
            segments.push_back({image + (p - first_row) * t.stride_h * row_floats + q * call.in_stride,
                                t.out + n * t.out_image + p * t.out_row + q * t.out_pixel,
                                static_cast<int>(std::min<std::int64_t>(v.pixels, t.ow - q))});
      }
      make_runs(t, row_floats, t.c, runs, call.run_length);
    }
    call.runs = runs.data();
    call.run_count = std::ssize(runs);
    run_tiles(t, v, weights, segments, call, block_begin, block_end);
  });
}

}  // namespace reprise::kernels::cpu
