// Convolutions: cuDNN, or the plain kernels below where it has no deterministic algorithm for the shape. The
// definitions are in ../ref/conv2d.cpp.
#include "engine/kernels/cuda/launch.h"
#include "engine/kernels/cuda/libraries.h"
#include "engine/kernels/cuda/windows.h"

namespace reprise::kernels::cuda {
namespace {

// The channels of a convolution in `groups` groups: C = groups * in, O = groups * out.
struct Channels {
  std::int64_t c, o, in, out;
  Channels(const Shape& x, const Shape& w, int groups) : c(x[3]), o(w[0]), in(w[3]), out(w[0] / groups) {}
};

void plain_fwd(const Convolution& t) {
  const Windows z(t.x_shape, t.y_shape, t.w_shape[1], t.w_shape[2], t.args);
  const Channels k(t.x_shape, t.w_shape, t.args.groups);
  const float *x = static_cast<const float*>(t.x), *w = static_cast<const float*>(t.w);
  float* y = static_cast<float*>(t.y);
  each_in_rows(t.y_shape[0] * z.oh, z.ow * k.o, [=] __device__(std::int64_t row, std::int64_t j) {
    const std::int64_t n = row / z.oh, p = row % z.oh, q = j / k.o, o = j % k.o, first = o / k.out * k.in;
    float sum = 0;
    for (std::int64_t r = 0; r < z.taps_h; ++r)
      for (std::int64_t s = 0; s < z.taps_w; ++s) {
        const std::int64_t pixel = z.pixel(p, q, r, s);
        if (pixel < 0) continue;
        const float* in = x + (n * z.height * z.width + pixel) * k.c + first;
        const float* filter = w + ((o * z.taps_h + r) * z.taps_w + s) * k.in;
        for (std::int64_t i = 0; i < k.in; ++i) sum += in[i] * filter[i];
      }
    y[row * z.ow * k.o + j] = sum;
  });
}

// dx gathers from every output that its element touched.
void plain_dgrad(const Convolution& t) {
  const Windows z(t.x_shape, t.y_shape, t.w_shape[1], t.w_shape[2], t.args);
  const Channels k(t.x_shape, t.w_shape, t.args.groups);
  const float *w = static_cast<const float*>(t.w), *dy = static_cast<const float*>(t.y);
  float* dx = static_cast<float*>(t.x);
  each_in_rows(t.x_shape[0] * z.height, z.width * k.c, [=] __device__(std::int64_t row, std::int64_t j) {
    const std::int64_t n = row / z.height, h = row % z.height, v = j / k.c, c = j % k.c, group = c / k.in;
    float sum = 0;
    for (std::int64_t r = 0; r < z.taps_h; ++r)
      for (std::int64_t s = 0; s < z.taps_w; ++s) {
        const std::int64_t output = z.output(h, v, r, s);
        if (output < 0) continue;
        const float* out = dy + (n * z.oh * z.ow + output) * k.o;
        for (std::int64_t o = group * k.out; o < (group + 1) * k.out; ++o)
          sum += out[o] * w[((o * z.taps_h + r) * z.taps_w + s) * k.in + c % k.in];
      }
    dx[row * z.width * k.c + j] = sum;
  });
}

// Each weight's sum over all outputs, in double.
void plain_wgrad(const Convolution& t) {
  const Windows z(t.x_shape, t.y_shape, t.w_shape[1], t.w_shape[2], t.args);
  const Channels k(t.x_shape, t.w_shape, t.args.groups);
  const std::int64_t outputs = z.oh * z.ow, taps = z.taps_h * z.taps_w;
  const float *x = static_cast<const float*>(t.x), *dy = static_cast<const float*>(t.y);
  float* dw = static_cast<float*>(t.w);
  channel_sums<1>(
      k.o * taps, t.x_shape[0] * outputs, k.in,
      [=] __device__(std::int64_t of, std::int64_t j, std::int64_t i, double* sum) {
        const std::int64_t o = of / taps, tap = of % taps, n = j / outputs, at = j % outputs;
        const std::int64_t pixel = z.pixel(at / z.ow, at % z.ow, tap / z.taps_w, tap % z.taps_w);
        if (pixel >= 0)
          sum[0] += static_cast<double>(x[(n * z.height * z.width + pixel) * k.c + o / k.out * k.in + i]) *
                    static_cast<double>(dy[(n * outputs + at) * k.o + o]);
      },
      [=] __device__(std::int64_t at, const double* sum) { dw[at] = static_cast<float>(sum[0]); });
}

// What is read and what is written lie in one struct; the pass says which is which.
void* address(View v) {
  return const_cast<void*>(v.ptr);
}

// Whether cuDNN has computed it.
bool by_library(const Convolution& c) {
  const bool any = c.x_shape.numel() != 0 && c.y_shape.numel() != 0 && c.w_shape.numel() != 0;
  return any && libraries_wanted() && cudnn_convolution(c);
}

}  // namespace

template <class T>
void conv2d_fwd(const Conv2dArgs& args, View x, View w, MutView y) {
  const Convolution c{ConvPass::fwd, args, x.shape, w.shape, y.shape, address(x), address(w), y.ptr};
  if (!by_library(c)) plain_fwd(c);
}

template <class T>
void conv2d_dgrad(const Conv2dArgs& args, View dy, View w, MutView dx) {
  const Convolution c{ConvPass::dgrad, args, dx.shape, w.shape, dy.shape, dx.ptr, address(w), address(dy)};
  if (!by_library(c)) plain_dgrad(c);
}

template <class T>
void conv2d_wgrad(const Conv2dArgs& args, View x, View dy, MutView dw) {
  const Convolution c{ConvPass::wgrad, args, x.shape, dw.shape, dy.shape, address(x), dw.ptr, address(dy)};
  if (!by_library(c)) plain_wgrad(c);
}

REPRISE_CUDA_KERNEL(conv2d_fwd);
REPRISE_CUDA_KERNEL(conv2d_dgrad);
REPRISE_CUDA_KERNEL(conv2d_wgrad);

}  // namespace reprise::kernels::cuda
