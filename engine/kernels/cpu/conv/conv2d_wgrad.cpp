// The filter's gradient:
//   dw[o,r,s,c] = sum over pixels p of dy[p,o] * x[p * stride - padding + (r,s) * dilation, c]
//
// The batch is cut into sub-batches whose images fit in cache. Within a sub-batch every block of dw
// is summed in registers, image by image. Sub-batches are summed into at most eight partial
// filters, which are added in order. So the number of threads does not change the order of the sum.
#include <algorithm>
#include <cstring>

#include "engine/base/parallel.h"
#include "engine/kernels/cpu/base/chunks.h"
#include "engine/kernels/cpu/base/instantiate.h"
#include "engine/kernels/cpu/base/scratch.h"
#include "engine/kernels/cpu/leaf/conv_tile.h"
#include "engine/kernels/cpu/leaf/elementwise.h"
#include "engine/kernels/kernels.h"

namespace reprise::kernels::cpu {
namespace {

constexpr std::int64_t cache_floats = 320 << 10;        // a sub-batch's images and gradients
constexpr std::int64_t most_partial_floats = 16 << 20;  // all partial filters

struct WgradPlan {
  std::int64_t n, h, w, channels, oh, ow, outputs;  // shapes of x and dy
  std::int64_t r, s, c, o_group;                    // the filter; outputs in a group
  std::int64_t padded_h, padded_w, image;           // a padded image: pixels, pixels, floats
  bool merged;                                      // a row of taps is one run of s * c inputs
  std::int64_t runs, length, blocks_i, blocks_o, blocks;
  std::int64_t sub_batch, sub_batches, partials, parts;  // parts: into which blocks are cut

  WgradPlan(const Conv2dArgs& a, const Shape& x, const Shape& dy, const Shape& f, const ConvLeaf& leaf)
      : n(x[0]),
        h(x[1]),
        w(x[2]),
        channels(x[3]),
        oh(dy[1]),
        ow(dy[2]),
        outputs(dy[3]),
        r(f[1]),
        s(f[2]),
        c(f[3]),
        o_group(outputs / a.groups) {
    padded_h = (oh - 1) * a.stride[0] + (r - 1) * a.dilation[0] + 1;
    padded_w = (ow - 1) * a.stride[1] + (s - 1) * a.dilation[1] + 1;
    image = padded_h * padded_w * channels;
    merged = a.groups == 1 && a.dilation[1] == 1;
    runs = merged ? r : r * s, length = merged ? s * c : c;
    blocks_i = div_up(length, leaf.wgrad_vectors * leaf.lanes),
    blocks_o = div_up(o_group, leaf.wgrad_outputs);
    blocks = a.groups * runs * blocks_i * blocks_o;
    sub_batch = std::clamp<std::int64_t>(cache_floats / (image + oh * ow * outputs), 1, div_up(n, 2));
    sub_batches = div_up(n, sub_batch);
    partials =
        std::min({sub_batches, std::int64_t{8}, std::max<std::int64_t>(2, most_partial_floats / f.numel())});
    parts = partials >= 4 ? 1 : std::min(blocks, div_up(4, partials));
  }
};

// Copies images [first, last) with their padding, as floats, into Scratch::pixels.
// `slack` zeros follow, for blocks that reach past the end.
template <class T>
float* padded_images(const WgradPlan& p, const Conv2dArgs& a, const T* x, std::int64_t first,
                     std::int64_t last, std::int64_t slack) {
  float* copy = scratch(Scratch::pixels, static_cast<std::size_t>(p.sub_batch * p.image + slack));
  const std::int64_t left = std::min<std::int64_t>(a.padding[1], p.padded_w);
  const std::int64_t right = std::clamp(p.w + left, left, p.padded_w);
  for (std::int64_t row = 0; row < (last - first) * p.padded_h; ++row) {
    float* to = copy + row * p.padded_w * p.channels;
    const std::int64_t from = row % p.padded_h - a.padding[0];
    std::fill_n(to, p.padded_w * p.channels, 0.0f);
    if (from < 0 || from >= p.h) continue;
    const T* source = x + ((first + row / p.padded_h) * p.h + from) * p.w * p.channels;
    elementwise_leaf<T>().widen(source, to + left * p.channels, (right - left) * p.channels);
  }
  std::fill_n(copy + (last - first) * p.image, slack, 0.0f);
  return copy;
}

}  // namespace

template <class T>
void conv2d_wgrad(const Conv2dArgs& a, View x, View dy, MutView dw) {
  if (dw.numel() == 0) return;
  if (dy.numel() == 0) {
    std::fill_n(dw.data<float>(), dw.numel(), 0.0f);
    return;
  }
  const ConvLeaf& leaf = conv_leaf();
  const WgradPlan p(a, x.shape, dy.shape, dw.shape, leaf);
  const std::int64_t block_o = leaf.wgrad_outputs, block_i = leaf.wgrad_vectors * leaf.lanes;
  const std::int64_t dy_image = p.oh * p.ow * p.outputs, filter = dw.numel();
  float* partials =
      p.partials > 1 ? scratch(Scratch::sums, static_cast<std::size_t>((p.partials - 1) * filter)) : nullptr;
  const auto partial = [&](std::int64_t i) {
    return i == 0 ? dw.data<float>() : partials + (i - 1) * filter;
  };
  parallel_for(p.partials, 1, [&](std::int64_t i, std::int64_t) { std::fill_n(partial(i), filter, 0.0f); });

  const auto block = [&](std::int64_t b, const float* images, const float* grads, std::int64_t count,
                         float* to) {
    const std::int64_t bo = b % p.blocks_o, bi = b / p.blocks_o % p.blocks_i;
    const std::int64_t run = b / p.blocks_o / p.blocks_i % p.runs, g = b / p.blocks_o / p.blocks_i / p.runs;
    const std::int64_t tap_r = p.merged ? run : run / p.s, tap_s = p.merged ? 0 : run % p.s;
    const std::int64_t o = g * p.o_group + bo * block_o;
    WgradCall call{};
    call.rows = p.oh, call.pixels = p.ow;
    call.x_row_stride = a.stride[0] * p.padded_w * p.channels, call.x_stride = a.stride[1] * p.channels;
    call.dy_row_stride = p.ow * p.outputs, call.dy_stride = p.outputs;
    call.dw = to + o * p.r * p.s * p.c + run * p.length + bi * block_i;
    call.dw_stride = p.r * p.s * p.c;
    call.outputs = std::min(block_o, p.o_group - bo * block_o);
    call.inputs = std::min(block_i, p.length - bi * block_i);
    const std::int64_t tap = (tap_r * a.dilation[0] * p.padded_w + tap_s * a.dilation[1]) * p.channels;
    for (std::int64_t i = 0; i < count; ++i) {
      call.x = images + i * p.image + tap + g * p.c + bi * block_i;
      call.dy = grads + i * dy_image + o;
      leaf.wgrad(call);
    }
  };

  parallel_for(p.partials * p.parts, 1, [&](std::int64_t job, std::int64_t) {
    const std::int64_t index = job / p.parts, part = job % p.parts;
    const std::int64_t begin = p.blocks * part / p.parts, end = p.blocks * (part + 1) / p.parts;
    for (std::int64_t s = p.sub_batches * index / p.partials; s < p.sub_batches * (index + 1) / p.partials;
         ++s) {
      const std::int64_t first = s * p.sub_batch, last = std::min(p.n, first + p.sub_batch);
      const float* images = padded_images(p, a, x.data<T>(), first, last, block_i);
      float* grads = scratch(Scratch::operand, static_cast<std::size_t>(p.sub_batch * dy_image + block_o));
      elementwise_leaf<T>().widen(dy.data<T>() + first * dy_image, grads, (last - first) * dy_image);
      std::fill_n(grads + (last - first) * dy_image, block_o, 0.0f);
      for (std::int64_t b = begin; b < end; ++b) block(b, images, grads, last - first, partial(index));
    }
  });
  parallel_for(filter, 1 << 14, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = 1; i < p.partials; ++i)
      for (std::int64_t k = begin; k < end; ++k) dw.data<float>()[k] += partial(i)[k];
  });
}

REPRISE_CPU_KERNEL(conv2d_wgrad);

}  // namespace reprise::kernels::cpu
