// Pooling. The window of output (p,q) holds the pixels (h,v) that lie inside the image, with
//   h = p*stride[0] - padding[0] + r, r < kernel[0],   v = q*stride[1] - padding[1] + s, s < kernel[1]
#include <cmath>

#include "engine/kernels/ref/loops.h"

namespace reprise::kernels::ref {
namespace {

// The indices of element i of a tensor (N,H,W,C).
struct Pixel {
  std::int64_t n, h, w, c;
  Pixel(const Shape& z, std::int64_t i)
      : n(i / z[3] / z[2] / z[1]), h(i / z[3] / z[2] % z[1]), w(i / z[3] % z[2]), c(i % z[3]) {}
};
std::int64_t at(const Shape& z, std::int64_t n, std::int64_t h, std::int64_t w, std::int64_t c) {
  return ((n * z[1] + h) * z[2] + w) * z[3] + c;
}

// Calls f(offset in x, tap) for each pixel in the window of output o.
template <class F>
void each_tap(const Pool2dArgs& a, const Shape& x, const Pixel& o, F f) {
  for (int r = 0; r < a.kernel[0]; ++r)
    for (int s = 0; s < a.kernel[1]; ++s) {
      const std::int64_t h = o.h * a.stride[0] - a.padding[0] + r, w = o.w * a.stride[1] - a.padding[1] + s;
      if (h >= 0 && h < x[1] && w >= 0 && w < x[2]) f(at(x, o.n, h, w, o.c), r * a.kernel[1] + s);
    }
}

// Calls f(offset in y, tap) for each window that contains pixel i.
template <class F>
void each_window(const Pool2dArgs& a, const Shape& y, const Pixel& i, F f) {
  for (int r = 0; r < a.kernel[0]; ++r)
    for (int s = 0; s < a.kernel[1]; ++s) {
      const std::int64_t p = i.h + a.padding[0] - r, q = i.w + a.padding[1] - s;
      if (p < 0 || p % a.stride[0] || p / a.stride[0] >= y[1]) continue;
      if (q < 0 || q % a.stride[1] || q / a.stride[1] >= y[2]) continue;
      f(at(y, i.n, p / a.stride[0], q / a.stride[1], i.c), r * a.kernel[1] + s);
    }
}

// Returns the divisor of a mean: all taps of the window, or its pixels inside the image. Of a sum: 1.
std::int64_t divisor(const Pool2dArgs& a, const Shape& x, const Pixel& o) {
  if (!a.divides) return 1;
  if (a.count_include_pad) return static_cast<std::int64_t>(a.kernel[0]) * a.kernel[1];
  std::int64_t inside = 0;
  each_tap(a, x, o, [&](std::int64_t, int) { ++inside; });
  return inside;
}

}  // namespace

// y = the first largest value of each window; NaN is larger than every number.
template <class T>
void max_pool2d_fwd(const Pool2dArgs& a, View x, MutView y, MutView tap) {
  each_output(y.numel(), static_cast<std::int64_t>(a.kernel[0]) * a.kernel[1], [&](std::int64_t i) {
    T best = 0;
    int best_tap = -1;
    each_tap(a, x.shape, Pixel(y.shape, i), [&](std::int64_t k, int t) {
      const T v = x.data<T>()[k];
      if (best_tap >= 0 && !(v > best) && (std::isnan(best) || !std::isnan(v))) return;
      best = v;
      best_tap = t;
    });
    y.data<T>()[i] = best;
    tap.data<std::uint8_t>()[i] = static_cast<std::uint8_t>(best_tap);
  });
}

// dx = the sum of dy over the windows whose first largest value is this element
template <class T>
void max_pool2d_bwd(const Pool2dArgs& a, View dy, View tap, MutView dx) {
  each_output(dx.numel(), static_cast<std::int64_t>(a.kernel[0]) * a.kernel[1], [&](std::int64_t i) {
    T sum = 0;
    each_window(a, dy.shape, Pixel(dx.shape, i), [&](std::int64_t k, int t) {
      if (tap.data<std::uint8_t>()[k] == t) sum += dy.data<T>()[k];
    });
    dx.data<T>()[i] = sum;
  });
}

template <class T>
void avg_pool2d_fwd(const Pool2dArgs& a, View x, MutView y) {
  each_output(y.numel(), static_cast<std::int64_t>(a.kernel[0]) * a.kernel[1], [&](std::int64_t i) {
    const Pixel o(y.shape, i);
    T sum = 0;
    each_tap(a, x.shape, o, [&](std::int64_t k, int) { sum += x.data<T>()[k]; });
    y.data<T>()[i] = sum / static_cast<T>(divisor(a, x.shape, o));
  });
}

template <class T>
void avg_pool2d_bwd(const Pool2dArgs& a, View dy, MutView dx) {
  each_output(dx.numel(), static_cast<std::int64_t>(a.kernel[0]) * a.kernel[1], [&](std::int64_t i) {
    T sum = 0;
    each_window(a, dy.shape, Pixel(dx.shape, i), [&](std::int64_t k, int) {
      sum += dy.data<T>()[k] / static_cast<T>(divisor(a, dx.shape, Pixel(dy.shape, k)));
    });
    dx.data<T>()[i] = sum;
  });
}

// y[n,c] = sum_{h,w} x[n,h,w,c] / (H*W)
template <class T>
void global_avg_pool_fwd(View x, MutView y) {
  const std::int64_t pixels = x.dim(1) * x.dim(2), channels = x.dim(3);
  each_output(y.numel(), pixels, [&](std::int64_t i) {
    const T* values = x.data<T>() + i / channels * pixels * channels + i % channels;
    T sum = 0;
    for (std::int64_t k = 0; k < pixels; ++k) sum += values[k * channels];
    y.data<T>()[i] = sum / static_cast<T>(pixels);
  });
}

template <class T>
void global_avg_pool_bwd(View dy, MutView dx) {
  const std::int64_t pixels = dx.dim(1) * dx.dim(2), channels = dx.dim(3);
  each_output(dx.numel(), 1, [&](std::int64_t i) {
    dx.data<T>()[i] = dy.data<T>()[i / channels / pixels * channels + i % channels] / static_cast<T>(pixels);
  });
}

REPRISE_REF_KERNEL(max_pool2d_fwd);
REPRISE_REF_KERNEL(max_pool2d_bwd);
REPRISE_REF_KERNEL(avg_pool2d_fwd);
REPRISE_REF_KERNEL(avg_pool2d_bwd);
REPRISE_REF_KERNEL(global_avg_pool_fwd);
REPRISE_REF_KERNEL(global_avg_pool_bwd);

}  // namespace reprise::kernels::ref
