// Pooling over (N,H,W,C), defined in ../ref/pool.cpp.
// Output (p,q) covers the rows p*sh - ph + r and the columns q*sw - pw + s.
#include "engine/kernels/cuda/launch.h"
#include "engine/kernels/cuda/windows.h"

namespace reprise::kernels::cuda {
namespace {

// Returns an average's divisor: the window's size, or the number of its pixels inside the image.
__device__ inline std::int64_t divisor(const Windows& z, bool count_padding, std::int64_t p, std::int64_t q) {
  if (count_padding) return z.taps_h * z.taps_w;
  std::int64_t inside = 0;
  for (std::int64_t r = 0; r < z.taps_h; ++r)
    for (std::int64_t s = 0; s < z.taps_w; ++s) inside += z.pixel(p, q, r, s) >= 0 ? 1 : 0;
  return inside;
}

}  // namespace

// Of equal maxima the first wins. NaN wins over every number.
template <class T>
void max_pool2d_fwd(const Pool2dArgs& a, View x, MutView y, MutView tap) {
  const Windows z(x.shape, y.shape, a);
  const std::int64_t channels = x.dim(3);
  const T* in = x.data<T>();
  T* out = y.data<T>();
  std::uint8_t* winner = tap.data<std::uint8_t>();
  each_in_rows(y.dim(0) * z.oh, z.ow * channels, [=] __device__(std::int64_t row, std::int64_t j) {
    const std::int64_t n = row / z.oh, p = row % z.oh, q = j / channels, c = j % channels;
    float best = 0;
    std::int64_t best_tap = -1;
    for (std::int64_t r = 0; r < z.taps_h; ++r)
      for (std::int64_t s = 0; s < z.taps_w; ++s) {
        const std::int64_t pixel = z.pixel(p, q, r, s);
        if (pixel < 0) continue;
        const float v = value_of(in[(n * z.height * z.width + pixel) * channels + c]);
        const bool best_is_nan = best != best, v_is_nan = v != v;
        if (best_tap >= 0 && !(v > best) && (best_is_nan || !v_is_nan)) continue;
        best = v;
        best_tap = r * z.taps_w + s;
      }
    const std::int64_t i = row * z.ow * channels + j;
    store(out[i], best);
    winner[i] = static_cast<std::uint8_t>(best_tap);
  });
}

// dx = the sum of dy over the windows in which this pixel was the maximum
template <class T>
void max_pool2d_bwd(const Pool2dArgs& a, View dy, View tap, MutView dx) {
  const Windows z(dx.shape, dy.shape, a);
  const std::int64_t channels = dx.dim(3);
  const T* grad = dy.data<T>();
  const std::uint8_t* winner = tap.data<std::uint8_t>();
  T* out = dx.data<T>();
  each_in_rows(dx.dim(0) * z.height, z.width * channels, [=] __device__(std::int64_t row, std::int64_t j) {
    const std::int64_t n = row / z.height, h = row % z.height, v = j / channels, c = j % channels;
    float sum = 0;
    for (std::int64_t r = 0; r < z.taps_h; ++r)
      for (std::int64_t s = 0; s < z.taps_w; ++s) {
        const std::int64_t output = z.output(h, v, r, s);
        if (output < 0) continue;
        const std::int64_t k = (n * z.oh * z.ow + output) * channels + c;
        if (winner[k] == r * z.taps_w + s) sum += value_of(grad[k]);
      }
    store(out[row * z.width * channels + j], sum);
  });
}

template <class T>
void avg_pool2d_fwd(const Pool2dArgs& a, View x, MutView y) {
  const Windows z(x.shape, y.shape, a);
  const bool count_padding = a.count_include_pad;
  const std::int64_t channels = x.dim(3);
  const T* in = x.data<T>();
  T* out = y.data<T>();
  each_in_rows(y.dim(0) * z.oh, z.ow * channels, [=] __device__(std::int64_t row, std::int64_t j) {
    const std::int64_t n = row / z.oh, p = row % z.oh, q = j / channels, c = j % channels;
    float sum = 0;
    for (std::int64_t r = 0; r < z.taps_h; ++r)
      for (std::int64_t s = 0; s < z.taps_w; ++s) {
        const std::int64_t pixel = z.pixel(p, q, r, s);
        if (pixel >= 0) sum += value_of(in[(n * z.height * z.width + pixel) * channels + c]);
      }
    store(out[row * z.ow * channels + j], sum / static_cast<float>(divisor(z, count_padding, p, q)));
  });
}

template <class T>
void avg_pool2d_bwd(const Pool2dArgs& a, View dy, MutView dx) {
  const Windows z(dx.shape, dy.shape, a);
  const bool count_padding = a.count_include_pad;
  const std::int64_t channels = dx.dim(3);
  const T* grad = dy.data<T>();
  T* out = dx.data<T>();
  each_in_rows(dx.dim(0) * z.height, z.width * channels, [=] __device__(std::int64_t row, std::int64_t j) {
    const std::int64_t n = row / z.height, h = row % z.height, v = j / channels, c = j % channels;
    float sum = 0;
    for (std::int64_t r = 0; r < z.taps_h; ++r)
      for (std::int64_t s = 0; s < z.taps_w; ++s) {
        const std::int64_t output = z.output(h, v, r, s);
        if (output < 0) continue;
        sum += value_of(grad[(n * z.oh * z.ow + output) * channels + c]) /
               static_cast<float>(divisor(z, count_padding, output / z.ow, output % z.ow));
      }
    store(out[row * z.width * channels + j], sum);
  });
}

// y[n,c] = sum_{h,w} x[n,h,w,c] / (H*W), the sum taken in double; y is float
template <class T>
void global_avg_pool_fwd(View x, MutView y) {
  const std::int64_t pixels = x.dim(1) * x.dim(2), channels = x.dim(3);
  const T* in = x.data<T>();
  float* out = y.data<float>();
  channel_sums<1>(
      x.dim(0), pixels, channels,
      [=] __device__(std::int64_t n, std::int64_t i, std::int64_t c, double* sum) {
        sum[0] += static_cast<double>(value_of(in[(n * pixels + i) * channels + c]));
      },
      [=] __device__(std::int64_t k, const double* sum) {
        out[k] = static_cast<float>(sum[0] / static_cast<double>(pixels));
      });
}

template <class T>
void global_avg_pool_bwd(View dy, MutView dx) {
  const std::int64_t pixels = dx.dim(1) * dx.dim(2), channels = dx.dim(3);
  const float* grad = dy.data<float>();
  T* out = dx.data<T>();
  each_in_rows(dx.dim(0) * pixels, channels, [=] __device__(std::int64_t row, std::int64_t c) {
    store(out[row * channels + c], grad[row / pixels * channels + c] / static_cast<float>(pixels));
  });
}

REPRISE_CUDA_IMAGE_KERNEL(max_pool2d_fwd);
REPRISE_CUDA_IMAGE_KERNEL(max_pool2d_bwd);
REPRISE_CUDA_IMAGE_KERNEL(avg_pool2d_fwd);
REPRISE_CUDA_IMAGE_KERNEL(avg_pool2d_bwd);
REPRISE_CUDA_IMAGE_KERNEL(global_avg_pool_fwd);
REPRISE_CUDA_IMAGE_KERNEL(global_avg_pool_bwd);

}  // namespace reprise::kernels::cuda
