// Depthwise convolutions, one filter per channel, defined in ../ref/depthwise.cpp.
// 3x3 filters of stride 1 slide down strips (windows.h). All others: a thread per element.
#include "engine/kernels/cuda/windows.h"

namespace reprise::kernels::cuda {
namespace {

// Computes y = slide(x), V channels a thread.
template <class T, int V>
void slide_down(const Slide<T, V>& slide, MutView y) {
  const unsigned channels = slide.channels;
  const Strips strips(y.dim(0), y.dim(1), y.dim(2), channels / V);
  T* out = y.data<T>();
  each_in_columns(strips.count, channels / V, [=] __device__(unsigned column) {
    const unsigned c = column * V;
    const auto taps = slide.taps(c);
    return [=](std::int64_t i) {
      const auto strip = strips.at(i);
      T* at = out + strips.pixel(strip, strip.first) * channels + c;
      slide.down(strip, taps, c, [&](const float(&sums)[V]) {
        store_vector(at, Vector<T, V>::of(sums));
        at += strips.width * channels;
      });
    };
  });
}

// Computes dw for 3x3 taps and stride 1, V channels a thread. Each row of x meets the three rows of
// dy whose outputs it is part of.
template <class T, int V>
void wgrad_down(const Slide<T, V>& x, View dy, float* dw) {
  const unsigned channels = x.channels;
  const Strips strips(dy.dim(0), dy.dim(1), dy.dim(2), channels / V);
  const T* grad = dy.data<T>();
  column_sums<9, V>(
      1, strips.count, channels / V,
      [=] __device__(unsigned, unsigned column) {
        return [=](std::int64_t i, double* sum) {
          const auto strip = strips.at(i);
          x.add_products(grad + strips.pixel(strip, strip.first) * channels + column * V,
                         strips.width * channels, strip, column * V, sum);
        };
      },
      [=] __device__(std::int64_t c, const double* sum) {
        for (int tap = 0; tap < 9; ++tap) dw[tap * channels + c] = static_cast<float>(sum[tap]);
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
  constexpr int V = vector_of<T>;
  if (slides<T, V>(a, w, x, y)) return slide_down(Slide<T, V>(x, w, a.padding[0], a.padding[1], false), y);
  const Windows z(x.shape, y.shape, w.dim(0), w.dim(1), a);
  const std::int64_t channels = x.dim(3);
  const T* in = x.data<T>();
  const float* filter = w.data<float>();
  T* out = y.data<T>();
  each_in_rows(x.dim(0) * z.oh, z.ow * channels, [=] __device__(std::int64_t row, std::int64_t j) {
    const std::int64_t n = row / z.oh, p = row % z.oh, q = j / channels, c = j % channels;
    float sum = 0;
    for (std::int64_t r = 0; r < z.taps_h; ++r)
      for (std::int64_t s = 0; s < z.taps_w; ++s) {
        const std::int64_t pixel = z.pixel(p, q, r, s);
        if (pixel >= 0)
          sum += value_of(in[(n * z.height * z.width + pixel) * channels + c]) *
                 filter[(r * z.taps_w + s) * channels + c];
      }
    store(out[row * z.ow * channels + j], sum);
  });
}

// Each element of dx gathers from all outputs whose window covers it.
template <class T>
void depthwise_dgrad(const Conv2dArgs& a, View dy, View w, MutView dx) {
  constexpr int V = vector_of<T>;
  if (slides<T, V>(a, w, dx, dy))
    return slide_down(Slide<T, V>(dy, w, 2 - a.padding[0], 2 - a.padding[1], true), dx);
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

// Double sums of nine taps fill the registers, so a thread takes fewer channels here.
template <class T>
void depthwise_wgrad(const Conv2dArgs& a, View x, View dy, MutView dw) {
  float* out = dw.data<float>();
  if (slides<T, 2>(a, dw, x, dy))
    return wgrad_down(Slide<T, 2>(x, View{}, a.padding[0], a.padding[1], false), dy, out);
  if (slides<T, 1>(a, dw, x, dy))
    return wgrad_down(Slide<T, 1>(x, View{}, a.padding[0], a.padding[1], false), dy, out);
  wgrad_by_tap(Windows(x.shape, dy.shape, dw.dim(0), dw.dim(1), a), x.dim(0), x.dim(3), x.data<T>(),
               dy.data<T>(), out);
}

REPRISE_CUDA_IMAGE_KERNEL(depthwise_fwd);
REPRISE_CUDA_IMAGE_KERNEL(depthwise_dgrad);
REPRISE_CUDA_IMAGE_KERNEL(depthwise_wgrad);

}  // namespace reprise::kernels::cuda
