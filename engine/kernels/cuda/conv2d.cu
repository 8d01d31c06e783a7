// Convolutions, defined in ../ref/conv2d.cpp:
// by cuDNN, or by the plain kernels below if cuDNN has no deterministic algorithm for the shape.
#include <type_traits>

#include "engine/base/gpu.h"
#include "engine/core/storage.h"
#include "engine/kernels/cuda/launch.h"
#include "engine/kernels/cuda/libraries.h"
#include "engine/kernels/cuda/windows.h"

namespace reprise::kernels::cuda {
namespace {

// The channels of a grouped convolution: c = groups * in, o = groups * out.
struct Channels {
  std::int64_t c, o, in, out;
  Channels(const Shape& x, const Shape& w, int groups) : c(x[3]), o(w[0]), in(w[3]), out(w[0] / groups) {}
};

template <class T>
void plain_fwd(const Convolution& t) {
  const Windows z(t.x_shape, t.y_shape, t.w_shape[1], t.w_shape[2], t.args);
  const Channels k(t.x_shape, t.w_shape, t.args.groups);
  const T *x = static_cast<const T*>(t.x), *w = static_cast<const T*>(t.w);
  T* y = static_cast<T*>(t.y);
  // Neighbouring threads compute neighbouring output channels, so these are the filter's inner dimension here.
  const std::int64_t depth = z.taps_h * z.taps_w * k.in;
  const Scratch turned(static_cast<std::size_t>(depth * k.o) * sizeof(T));
  T* filter = turned.as<T>();
  each_element(depth * k.o, [=] __device__(std::int64_t i) { filter[i] = w[i % k.o * depth + i / k.o]; });
  each_in_rows(t.y_shape[0] * z.oh, z.ow * k.o, [=] __device__(std::int64_t row, std::int64_t j) {
    const std::int64_t n = row / z.oh, p = row % z.oh, q = j / k.o, o = j % k.o, first = o / k.out * k.in;
    float sum = 0;
    for (std::int64_t r = 0; r < z.taps_h; ++r)
      for (std::int64_t s = 0; s < z.taps_w; ++s) {
        const std::int64_t pixel = z.pixel(p, q, r, s);
        if (pixel < 0) continue;
        const T* in = x + (n * z.height * z.width + pixel) * k.c + first;
        const T* tap = filter + (r * z.taps_w + s) * k.in * k.o + o;
        for (std::int64_t i = 0; i < k.in; ++i) sum += value_of(in[i]) * value_of(tap[i * k.o]);
      }
    store(y[row * z.ow * k.o + j], sum);
  });
}

// Each element of dx gathers from all outputs whose window covers it.
template <class T>
void plain_dgrad(const Convolution& t) {
  const Windows z(t.x_shape, t.y_shape, t.w_shape[1], t.w_shape[2], t.args);
  const Channels k(t.x_shape, t.w_shape, t.args.groups);
  const T *w = static_cast<const T*>(t.w), *dy = static_cast<const T*>(t.y);
  T* dx = static_cast<T*>(t.x);
  each_in_rows(t.x_shape[0] * z.height, z.width * k.c, [=] __device__(std::int64_t row, std::int64_t j) {
    const std::int64_t n = row / z.height, h = row % z.height, v = j / k.c, c = j % k.c, group = c / k.in;
    float sum = 0;
    for (std::int64_t r = 0; r < z.taps_h; ++r)
      for (std::int64_t s = 0; s < z.taps_w; ++s) {
        const std::int64_t output = z.output(h, v, r, s);
        if (output < 0) continue;
        const T* out = dy + (n * z.oh * z.ow + output) * k.o;
        for (std::int64_t o = group * k.out; o < (group + 1) * k.out; ++o)
          sum += value_of(out[o]) * value_of(w[((o * z.taps_h + r) * z.taps_w + s) * k.in + c % k.in]);
      }
    store(dx[row * z.width * k.c + j], sum);
  });
}

// Sums each weight's gradient over all outputs, in double.
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

// Drops const: a Convolution holds all operands as void*, and its pass tells which one is written.
void* address(View v) {
  return const_cast<void*>(v.ptr);
}

// Lets cuDNN compute c and returns true, or returns false if c is empty or cuDNN cannot compute it.
bool by_library(const Convolution& c) {
  const bool any = c.x_shape.numel() != 0 && c.y_shape.numel() != 0 && c.w_shape.numel() != 0;
  return any && libraries_wanted() && cudnn_convolution(c);
}

// Converts n values, widening or rounding them.
template <class From, class To>
void convert(const From* from, To* to, std::int64_t n) {
  each_element(n, [=] __device__(std::int64_t i) { store(to[i], value_of(from[i])); });
}

// Returns the number of pixels of images (N,H,W,C), or of taps of a filter (O,R,S,I).
std::int64_t pixels_of(const Shape& s) {
  return s[0] * s[1] * s[2];
}

// Converts pixels of `c` channels to pixels of `wide` channels, the added ones zero.
template <class From, class To>
void pad_channels(const From* from, To* to, std::int64_t pixels, std::int64_t c, std::int64_t wide) {
  each_element(pixels * wide, [=] __device__(std::int64_t i) {
    const std::int64_t at = i % wide;
    store(to[i], at < c ? value_of(from[i / wide * c + at]) : 0.0f);
  });
}

// Returns the number of input channels with which cuDNN gets the convolution. Tensor cores take bf16
// channels by eights, so the three of an image become eight.
template <class T>
std::int64_t channels_for_library(const Conv2dArgs& args, View w) {
  const std::int64_t c = w.dim(3), unit = 8;
  const bool pads =
      !std::is_same_v<T, float> && libraries_wanted() && args.groups == 1 && w.dim(0) % unit == 0;
  return pads ? (c + unit - 1) / unit * unit : c;
}

// A filter in the images' dtype: the f32 filter itself, or a copy rounded to bf16 and padded to
// `channels`. For a sealed filter the copy is made once and kept with it.
template <class T>
class Filter {
 public:
  Filter(View w, std::int64_t channels)
      : made_(kept(w) ? 0 : static_cast<std::size_t>(pixels_of(w.shape) * channels) * sizeof(T)) {
    const std::int64_t pixels = pixels_of(w.shape);
    const auto round = [&](std::byte* to) {
      pad_channels(w.data<float>(), static_cast<T*>(static_cast<void*>(to)), pixels, w.dim(3), channels);
    };
    if constexpr (std::is_same_v<T, float>) {
      data_ = address(w);
    } else if (w.sealed != nullptr) {
      data_ = const_cast<std::byte*>(
          w.sealed->derived(channels == w.dim(3) ? "bf16" : "bf16, padded",
                            static_cast<std::size_t>(pixels * channels) * sizeof(T), round));
    } else {
      round(made_.data());
      data_ = made_.data();
    }
  }
  void* data() const { return data_; }

 private:
  static bool kept(View w) { return std::is_same_v<T, float> || w.sealed != nullptr; }
  Scratch made_;
  void* data_;
};

}  // namespace

template <class T>
void conv2d_fwd(const Conv2dArgs& args, View x, View w, MutView y) {
  Convolution c{ConvPass::fwd, args,    x.dtype,    gpu::tf32(), x.shape,
                w.shape,       y.shape, address(x), nullptr,     y.ptr};
  if (const std::int64_t wide = channels_for_library<T>(args, w); wide != w.dim(3)) {
    const Filter<T> filter(w, wide);
    const std::int64_t pixels = pixels_of(x.shape);
    const Scratch images(static_cast<std::size_t>(pixels * wide) * sizeof(T));
    pad_channels(x.data<T>(), images.as<T>(), pixels, x.dim(3), wide);
    Convolution padded = c;
    padded.x_shape = x.shape.with(3, wide), padded.w_shape = w.shape.with(3, wide);
    padded.x = images.data(), padded.w = filter.data();
    if (by_library(padded)) return;
  }
  const Filter<T> filter(w, w.dim(3));
  c.w = filter.data();
  if (!by_library(c)) plain_fwd<T>(c);
}

// Accumulates in a separate pass, which rounds the gradient before the sum, as the definition does.
// A library that accumulates would round only once.
template <class T>
void conv2d_dgrad(const Conv2dArgs& args, bool accumulate, View dy, View w, MutView dx) {
  const Filter<T> filter(w, w.dim(3));
  const Scratch own(accumulate ? static_cast<std::size_t>(dx.numel()) * sizeof(T) : 0);
  const Convolution c{ConvPass::dgrad, args,       dy.dtype, gpu::tf32(),
                      dx.shape,        w.shape,    dy.shape, accumulate ? own.data() : dx.ptr,
                      filter.data(),   address(dy)};
  if (!by_library(c)) plain_dgrad<T>(c);
  if (!accumulate) return;
  const T* gradient = own.as<T>();
  T* sum = dx.data<T>();
  each_element(dx.numel(),
               [=] __device__(std::int64_t i) { store(sum[i], value_of(sum[i]) + value_of(gradient[i])); });
}

// Computes in f32, the dtype of dw; bf16 operands are widened first. TF32 holds them exactly.
template <class T>
void conv2d_wgrad(const Conv2dArgs& args, View x, View dy, MutView dw) {
  constexpr bool widens = !std::is_same_v<T, float>;
  const Scratch wide_x(widens ? static_cast<std::size_t>(x.numel()) * sizeof(float) : 0),
      wide_dy(widens ? static_cast<std::size_t>(dy.numel()) * sizeof(float) : 0);
  if constexpr (widens) {
    convert(x.data<T>(), wide_x.as<float>(), x.numel());
    convert(dy.data<T>(), wide_dy.as<float>(), dy.numel());
  }
  const Convolution c{ConvPass::wgrad, args,
                      DType::f32,      widens || gpu::tf32(),
                      x.shape,         dw.shape,
                      dy.shape,        widens ? wide_x.data() : address(x),
                      dw.ptr,          widens ? wide_dy.data() : address(dy)};
  if (!by_library(c)) plain_wgrad(c);
}

REPRISE_CUDA_IMAGE_KERNEL(conv2d_fwd);
REPRISE_CUDA_IMAGE_KERNEL(conv2d_dgrad);
REPRISE_CUDA_IMAGE_KERNEL(conv2d_wgrad);

}  // namespace reprise::kernels::cuda
