// Depthwise convolutions, one filter per channel, defined in ../ref/depthwise.cpp.
// Neighbouring threads compute neighbouring elements of (W,C).
#include "engine/kernels/cuda/launch.h"
#include "engine/kernels/cuda/windows.h"

namespace reprise::kernels::cuda {
namespace {

// Computes dw for R x S taps known at compile time: each value of dy is read once for all taps.
template <int R, int S, class T>
void wgrad_all_taps(const Windows& z, std::int64_t images, std::int64_t channels, const T* x, const T* dy,
                    float* dw) {
  const std::int64_t outputs = z.oh * z.ow;
  channel_sums<R * S>(
      1, images * outputs, channels,
      [=] __device__(std::int64_t, std::int64_t i, std::int64_t c, double* sum) {
        const std::int64_t n = i / outputs, at = i % outputs, p = at / z.ow, q = at % z.ow;
        const double g = static_cast<double>(value_of(dy[(n * outputs + at) * channels + c]));
        for (int r = 0; r < R; ++r)
          for (int s = 0; s < S; ++s) {
            const std::int64_t pixel = z.pixel(p, q, r, s);
            if (pixel >= 0)
              sum[r * S + s] +=
                  static_cast<double>(value_of(x[(n * z.height * z.width + pixel) * channels + c])) * g;
          }
      },
      [=] __device__(std::int64_t c, const double* sum) {
        for (int tap = 0; tap < R * S; ++tap) dw[tap * channels + c] = static_cast<float>(sum[tap]);
      });
}

// Computes dw for any window, reading dy once per tap.
template <class T>
void wgrad_by_tap(const Windows& z, std::int64_t images, std::int64_t channels, const T* x, const T* dy,
                  float* dw) {
  const std::int64_t outputs = z.oh * z.ow, taps = z.taps_h * z.taps_w;
  channel_sums<1>(
      taps, images * outputs, channels,
      [=] __device__(std::int64_t tap, std::int64_t i, std::int64_t c, double* sum) {
        const std::int64_t n = i / outputs, at = i % outputs;
        const std::int64_t pixel = z.pixel(at / z.ow, at % z.ow, tap / z.taps_w, tap % z.taps_w);
        if (pixel >= 0)
          sum[0] += static_cast<double>(value_of(x[(n * z.height * z.width + pixel) * channels + c])) *
                    static_cast<double>(value_of(dy[(n * outputs + at) * channels + c]));
      },
      [=] __device__(std::int64_t k, const double* sum) { dw[k] = static_cast<float>(sum[0]); });
}

}  // namespace

template <class T>
void depthwise_fwd(const Conv2dArgs& a, View x, View w, MutView y) {
  const Windows z(x.shape, y.shape, w.dim(0), w.dim(1), a);
  const std::int64_t channels = x.dim(3);
  const T* in = x.data<T>();
  const float* filter = w.data<float>();
  T* out = y.data<T>();
  each_in_rows(x.dim(0) * z.oh, z.ow * channels, [=] __device__(std::int64_t row, std::int64_t j) {
    const std::int64_t n = row / z.oh, p = row % z.oh, q = j / channels, c = j % channels;
    store(out[row * z.ow * channels + j],
          depthwise_sum(z, in + n * z.height * z.width * channels, filter, p, q, channels, c));
  });
}

// Each element of dx gathers from all outputs whose window covers it.
template <class T>
void depthwise_dgrad(const Conv2dArgs& a, View dy, View w, MutView dx) {
  const Windows z(dx.shape, dy.shape, w.dim(0), w.dim(1), a);
  const std::int64_t channels = dx.dim(3);
  const T* grad = dy.data<T>();
  const float* filter = w.data<float>();
  T* out = dx.data<T>();
  each_in_rows(dx.dim(0) * z.height, z.width * channels, [=] __device__(std::int64_t row, std::int64_t j) {
    const std::int64_t n = row / z.height, h = row % z.height, v = j / channels, c = j % channels;
    float sum = 0;
    for (std::int64_t r = 0; r < z.taps_h; ++r)
      for (std::int64_t s = 0; s < z.taps_w; ++s) {
        const std::int64_t output = z.output(h, v, r, s);
        if (output < 0) continue;
        sum += value_of(grad[(n * z.oh * z.ow + output) * channels + c]) *
               filter[(r * z.taps_w + s) * channels + c];
      }
    store(out[row * z.width * channels + j], sum);
  });
}

template <class T>
void depthwise_wgrad(const Conv2dArgs& a, View x, View dy, MutView dw) {
  const Windows z(x.shape, dy.shape, dw.dim(0), dw.dim(1), a);
  const std::int64_t images = x.dim(0), channels = x.dim(3);
  const T *in = x.data<T>(), *grad = dy.data<T>();
  float* out = dw.data<float>();
  if (z.taps_h == 3 && z.taps_w == 3)
    wgrad_all_taps<3, 3>(z, images, channels, in, grad, out);
  else
    wgrad_by_tap(z, images, channels, in, grad, out);
}

REPRISE_CUDA_IMAGE_KERNEL(depthwise_fwd);
REPRISE_CUDA_IMAGE_KERNEL(depthwise_dgrad);
REPRISE_CUDA_IMAGE_KERNEL(depthwise_wgrad);

}  // namespace reprise::kernels::cuda
