// The sizes of a windowed op over (N,H,W,C), in a form that kernels take by value.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "engine/core/shape.h"
#include "engine/kernels/args.h"
#include "engine/kernels/cuda/launch.h"

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

// Cuts images (N,H,W,C) into strips, one pixel wide and up to `rows` high. A thread works on one
// strip at a time, on a vector of channels. Small images have lower strips, to occupy a GPU.
struct Strips {
  unsigned height, width, rows, per_column;
  std::int64_t count;  // of strips, over all images
  struct Strip {
    unsigned n, column, first, last;  // rows [first,last) of a column of image n
  };

  Strips(std::int64_t images, std::int64_t high, std::int64_t wide, std::int64_t vectors)
      : height(grid_size(high)), width(grid_size(wide)), rows(8) {
    constexpr std::int64_t wanted = std::int64_t{block_threads} * multiprocessors;
    const std::int64_t across = images * width * vectors;
    while (rows > 2 && across * ((height + rows - 1) / rows) < wanted) rows /= 2;
    per_column = (height + rows - 1) / rows;
    count = grid_size(images * width * per_column);
  }
  __device__ Strip at(std::int64_t i) const {
    const unsigned index = static_cast<unsigned>(i), rest = index / width, part = rest % per_column;
    const unsigned first = part * rows, last = first + rows;
    return {rest / per_column, index % width, first, last < height ? last : height};
  }
  // Returns the index of row p of the strip's column, counted over all images.
  __device__ std::size_t pixel(const Strip& strip, unsigned p) const {
    return static_cast<std::size_t>(strip.n) * height * width + p * width + strip.column;
  }
};

// A 3x3 depthwise convolution of stride 1, in 32-bit indices within an image. Pixels outside the
// image count as 0.
template <class T, int V>
struct Slide {
  const T* x;
  const float* filter;
  unsigned height, width, channels;
  int pad_h, pad_w;
  bool flipped;  // for the input gradient, which convolves dy with the flipped filter

  Slide(View input, View w, std::int64_t pad_high, std::int64_t pad_wide, bool flip)
      : x(input.data<T>()),
        filter(w.data<float>()),
        height(static_cast<unsigned>(input.dim(1))),
        width(static_cast<unsigned>(input.dim(2))),
        channels(static_cast<unsigned>(input.dim(3))),
        pad_h(static_cast<int>(pad_high)),
        pad_w(static_cast<int>(pad_wide)),
        flipped(flip) {}

  using Pixel = Vector<T, V>;
  struct Taps {
    float at[9][V];
  };
  struct Row {
    Pixel at[3];
  };
  __device__ Taps taps(unsigned c) const {
    Taps t;
    for (int k = 0; k < 9; ++k)
      for (int v = 0; v < V; ++v) t.at[k][v] = filter[(flipped ? 8 - k : k) * channels + c + v];
    return t;
  }
  // Loads row after row the three pixels that an output column depends on.
  struct Walk {
    const T* image;
    unsigned offset, below, channels, height;
    int h;
    bool inside[3];

    __device__ Row next() {
      Row r;
      for (int s = 0; s < 3; ++s)
        r.at[s] = inside[s] && static_cast<unsigned>(h) < height
                      ? load_vector<V>(image + (offset + s * channels))
                      : Pixel{};
      offset += below;
      ++h;
      return r;
    }
  };
  // Returns a walk from the first row that the strip depends on, for V channels from c on.
  __device__ Walk walk(const Strips::Strip& strip, unsigned c) const {
    const int h = static_cast<int>(strip.first) - pad_h, w = static_cast<int>(strip.column) - pad_w;
    Walk at{x + strip.n * (static_cast<std::size_t>(height) * width * channels) + c,
            (h * width + w) * channels,
            width * channels,
            channels,
            height,
            h,
            {}};
    for (int s = 0; s < 3; ++s) at.inside[s] = static_cast<unsigned>(w + s) < width;
    return at;
  }
  // Calls f(sums) for each output of the strip from the first on, V channels from c on. Each row of
  // x is loaded once and added to the three outputs that depend on it.
  template <class F>
  __device__ void down(const Strips::Strip& strip, const Taps& w, unsigned c, F f) const {
    Walk rows = walk(strip, c);
    const int first = static_cast<int>(strip.first), last = static_cast<int>(strip.last);
    float done[V], one_row[V] = {}, two_rows[V] = {};  // sums over three, one and two rows of x
    REPRISE_DEVICE_PRAGMA(unroll 1)
    for (int p = first - 2; p < last; ++p) {  // the row p + 2 - pad_h is the last one of output p
      const Row now = rows.next();
      for (int v = 0; v < V; ++v) {
        const float a = now.at[0][v], b = now.at[1][v], d = now.at[2][v];
        done[v] = fmaf(d, w.at[8][v], fmaf(b, w.at[7][v], fmaf(a, w.at[6][v], two_rows[v])));
        two_rows[v] = fmaf(d, w.at[5][v], fmaf(b, w.at[4][v], fmaf(a, w.at[3][v], one_row[v])));
        one_row[v] = fmaf(d, w.at[2][v], fmaf(b, w.at[1][v], a * w.at[0][v]));
      }
      if (p >= first) f(done);
    }
  }
  // Adds x * dy over the strip of dy to sum[v * 9 + tap]. dy points to the strip's first pixel, at
  // channel c; `below` is the distance to the next pixel. Each row of x is loaded once, too.
  __device__ void add_products(const T* dy, unsigned below, const Strips::Strip& strip, unsigned c,
                               double* sum) const {
    Walk rows = walk(strip, c);
    double g[3][V] = {};  // dy of this row, and of the two rows above
    REPRISE_DEVICE_PRAGMA(unroll 3)
    for (unsigned p = strip.first; p < strip.last + 2; ++p, dy += below) {
      const Row now = rows.next();
      const Pixel latest = p < strip.last ? load_vector<V>(dy) : Pixel{};
      for (int v = 0; v < V; ++v) {
        g[2][v] = g[1][v];
        g[1][v] = g[0][v];
        g[0][v] = static_cast<double>(latest[v]);
        for (int s = 0; s < 3; ++s) {
          const double value = static_cast<double>(now.at[s][v]);
          for (int r = 0; r < 3; ++r) sum[v * 9 + r * 3 + s] = fma(value, g[r][v], sum[v * 9 + r * 3 + s]);
        }
      }
    }
  }
};

// Returns whether Slide with V channels a thread computes this convolution and its gradients.
template <class T, int V>
bool slides(const Conv2dArgs& a, View w, View x, View y) {
  constexpr std::int64_t most = std::int64_t{1} << 31;  // 32-bit indices within an image
  return w.dim(0) == 3 && w.dim(1) == 3 && a.stride == Conv2dArgs{}.stride &&
         a.dilation == Conv2dArgs{}.dilation && x.numel() < most * x.dim(0) && y.numel() < most * y.dim(0) &&
         fit_vectors<V>(x.dim(3), x.data<T>(), y.data<T>());
}

}  // namespace reprise::kernels::cuda
