// The sizes of a windowed op over (N,H,W,C), in a form that kernels take by value.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "engine/core/shape.h"
#include "engine/kernels/args.h"
#include "engine/kernels/cuda/number.h"

namespace reprise::kernels::cuda {

// x is (N,H,W,C), y (N,OH,OW,·).
// Row p of y depends on the rows p*sh - ph + r*dh of x, 0 <= r < taps_h; columns likewise.
struct Windows {
  std::int64_t height, width, oh, ow;
  std::int64_t taps_h, taps_w, sh, sw, ph, pw, dh, dw;

  Windows(const Shape& x, const Shape& y, std::int64_t taps_high, std::int64_t taps_wide, const Conv2dArgs& a)
      : height(x[1]),
        width(x[2]),
        oh(y[1]),
        ow(y[2]),
        taps_h(taps_high),
        taps_w(taps_wide),
        sh(a.stride[0]),
        sw(a.stride[1]),
        ph(a.padding[0]),
        pw(a.padding[1]),
        dh(a.dilation[0]),
        dw(a.dilation[1]) {}
  Windows(const Shape& x, const Shape& y, const Pool2dArgs& a)
      : height(x[1]),
        width(x[2]),
        oh(y[1]),
        ow(y[2]),
        taps_h(a.kernel[0]),
        taps_w(a.kernel[1]),
        sh(a.stride[0]),
        sw(a.stride[1]),
        ph(a.padding[0]),
        pw(a.padding[1]),
        dh(1),
        dw(1) {}

  // Returns the pixel of x at tap (r,s) of output (p,q): its index in the image, or -1 outside.
  __host__ __device__ std::int64_t pixel(std::int64_t p, std::int64_t q, std::int64_t r,
                                         std::int64_t s) const {
    const std::int64_t h = p * sh - ph + r * dh, v = q * sw - pw + s * dw;
    return h < 0 || h >= height || v < 0 || v >= width ? -1 : h * width + v;
  }
  // Returns the output whose tap (r,s) is pixel (h,v): its index in the image, or -1 for none.
  __host__ __device__ std::int64_t output(std::int64_t h, std::int64_t v, std::int64_t r,
                                          std::int64_t s) const {
    const std::int64_t p = h + ph - r * dh, q = v + pw - s * dw;
    if (p < 0 || p % sh != 0 || p / sh >= oh || q < 0 || q % sw != 0 || q / sw >= ow) return -1;
    return p / sh * ow + q / sw;
  }
};

// Computes a depthwise convolution at output (p,q) and channel c of one image. Plain and fused
// kernels share it. `filter` is (R,S,C), so the taps of a channel lie `channels` apart.
template <class T>
__device__ inline float depthwise_sum(const Windows& z, const T* image, const float* filter, std::int64_t p,
                                      std::int64_t q, std::int64_t channels, std::int64_t c) {
  float sum = 0;
  for (std::int64_t r = 0; r < z.taps_h; ++r)
    for (std::int64_t s = 0; s < z.taps_w; ++s) {
      const std::int64_t pixel = z.pixel(p, q, r, s);
      if (pixel >= 0)
        sum += value_of(image[pixel * channels + c]) * filter[(r * z.taps_w + s) * channels + c];
    }
  return sum;
}

}  // namespace reprise::kernels::cuda
