// dw[o,r,s,c] = sum over pixels of dy[p,o] * x[p*stride - padding + tap, c]: blocks of dw are shared out
// among threads; each is summed image by image in registers and the images' sums are added in order.
#include <algorithm>
#include <cstring>

#include "engine/core/parallel.h"
#include "engine/kernels/cpu/leaf/conv_tile.h"
#include "engine/kernels/cpu/scratch.h"
#include "engine/kernels/kernels.h"

namespace reprise::kernels::cpu {
namespace {

constexpr std::int64_t div_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

}  // namespace

template <>
void conv2d_wgrad<float>(const Conv2dArgs& a, View x, View dy, MutView dw) {
  const ConvLeaf& leaf = conv_leaf();
  const std::int64_t n = x.dim(0), h = x.dim(1), w = x.dim(2), channels = x.dim(3);
  const std::int64_t oh = dy.dim(1), ow = dy.dim(2), outputs = dy.dim(3);
  const std::int64_t r = dw.dim(1), s = dw.dim(2), c = dw.dim(3), o_group = outputs / a.groups;
  const std::int64_t block_o = leaf.wgrad_outputs, block_i = leaf.wgrad_vectors * leaf.lanes;
  std::memset(dw.ptr, 0, static_cast<std::size_t>(dw.numel()) * sizeof(float));
  if (n * oh * ow == 0 || dw.numel() == 0) return;

  // Padded copies, so that the inner loop knows no borders; with slack for blocks that reach past the last
  // channel.
  const std::int64_t ph = (oh - 1) * a.stride[0] + (r - 1) * a.dilation[0] + 1;
  const std::int64_t pw = (ow - 1) * a.stride[1] + (s - 1) * a.dilation[1] + 1;
  const std::int64_t image = ph * pw * channels;
  float* padded = scratch(2, static_cast<std::size_t>(n * image + block_i));
  std::memset(padded + n * image, 0, static_cast<std::size_t>(block_i) * sizeof(float));
  parallel_for(n * ph, 8, [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t left = std::min<std::int64_t>(a.padding[1], pw),
                       right = std::clamp(w + left, left, pw);
    for (std::int64_t row = begin; row < end; ++row) {
      float* to = padded + row * pw * channels;
      const std::int64_t from = row % ph - a.padding[0];
      std::memset(to, 0, static_cast<std::size_t>(pw * channels) * sizeof(float));
      if (from < 0 || from >= h) continue;
      std::memcpy(to + left * channels, x.data<float>() + ((row / ph * h + from) * w) * channels,
                  static_cast<std::size_t>((right - left) * channels) * sizeof(float));
    }
  });
  // The last block of outputs reads past the end of dy's last pixel: give it a copy with slack.
  const std::int64_t dy_floats = dy.numel();
  float* grads = scratch(3, static_cast<std::size_t>(dy_floats + block_o));
  parallel_for(dy_floats, 1 << 16, [&](std::int64_t b, std::int64_t e) {
    std::memcpy(grads + b, dy.data<float>() + b, static_cast<std::size_t>(e - b) * sizeof(float));
  });
  std::memset(grads + dy_floats, 0, static_cast<std::size_t>(block_o) * sizeof(float));

  // With one group and no dilation the taps of a filter row are one contiguous run of s * c inputs.
  const bool merged = a.groups == 1 && a.dilation[1] == 1;
  const std::int64_t runs = merged ? r : r * s, length = merged ? s * c : c;
  const std::int64_t blocks_i = div_up(length, block_i), blocks_o = div_up(o_group, block_o);
  parallel_for(a.groups * runs * blocks_i * blocks_o, 1, [&](std::int64_t job, std::int64_t) {
    const std::int64_t bo = job % blocks_o, bi = job / blocks_o % blocks_i;
    const std::int64_t run = job / blocks_o / blocks_i % runs, g = job / blocks_o / blocks_i / runs;
    const std::int64_t tap_r = merged ? run : run / s, tap_s = merged ? 0 : run % s;
    const std::int64_t o = g * o_group + bo * block_o;
    WgradCall call{};
    call.rows = oh, call.pixels = ow;
    call.x_row_stride = a.stride[0] * pw * channels, call.x_stride = a.stride[1] * channels;
    call.dy_row_stride = ow * outputs, call.dy_stride = outputs;
    call.dw = dw.data<float>() + o * r * s * c + run * length + bi * block_i;
    call.dw_stride = r * s * c;
    call.outputs = std::min(block_o, o_group - bo * block_o),
    call.inputs = std::min(block_i, length - bi * block_i);
    for (std::int64_t i = 0; i < n; ++i) {
      call.x = padded + i * image + (tap_r * a.dilation[0] * pw + tap_s * a.dilation[1]) * channels + g * c +
               bi * block_i;
      call.dy = grads + i * oh * ow * outputs + o;
      leaf.wgrad(call);
    }
  });
}

}  // namespace reprise::kernels::cpu
