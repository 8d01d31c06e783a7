// Convolution and the gradient of its input, in the direct form (conv/tap_conv.h) or,
// where it gains, in Winograd's form (conv/winograd.h).
#include "engine/kernels/cpu/conv2d.h"

#include <fmt/format.h>

#include <cstring>

#include "engine/base/parallel.h"
#include "engine/kernels/cpu/base/instantiate.h"
#include "engine/kernels/cpu/conv/winograd.h"
#include "engine/kernels/kernels.h"

namespace reprise::kernels::cpu {
namespace {

// The taps of one axis for one phase of a strided input. Its row h = phase + stride * i gathers
// from the rows i + first + taps[k] of dy, through the filter's taps filter[k]; `taps` ascends.
struct PhaseTaps {
  std::int64_t first = 0;
  std::vector<std::int64_t> taps, filter;
};

PhaseTaps phase_taps(std::int64_t phase, std::int64_t kernel, int stride, int padding, int dilation) {
  PhaseTaps t;
  for (std::int64_t r = kernel - 1; r >= 0; --r) {  // dy's row rises as r falls
    const std::int64_t reach = phase + padding - r * dilation;
    if (reach % stride != 0) continue;
    if (t.taps.empty()) t.first = reach / stride;
    t.taps.push_back(reach / stride - t.first);
    t.filter.push_back(r);
  }
  return t;
}

// Returns the name under which a sealed filter's packed form is kept.
std::string key_of(const char* what, const Conv2dArgs& a, std::int64_t group, std::int64_t phase_h,
                   std::int64_t phase_w) {
  return fmt::format("{}/s{}x{}/p{}x{}/d{}x{}/g{}of{}/{}.{}", what, a.stride[0], a.stride[1], a.padding[0],
                     a.padding[1], a.dilation[0], a.dilation[1], group, a.groups, phase_h, phase_w);
}

template <class T>
void zero(MutView v) {
  parallel_for(v.numel(), 1 << 18, [&](std::int64_t b, std::int64_t e) {
    std::memset(v.data<T>() + b, 0, static_cast<std::size_t>(e - b) * sizeof(T));
  });
}

}  // namespace

template <class T>
void convolve(const Conv2dArgs& a, View x, View w, MutView y, const Finish<T>& finish,
              const PixelsMade& made) {
  const std::int64_t r = w.dim(1), s = w.dim(2), c = w.dim(3), o = w.dim(0) / a.groups;
  for (std::int64_t g = 0; g < a.groups; ++g) {
    TapConv<T> t;
    t.in = x.data<T>();
    t.n = x.dim(0), t.h = x.dim(1), t.w = x.dim(2), t.in_channels = x.dim(3);
    t.c_begin = g * c, t.c = c;
    t.row_origin = -a.padding[0], t.col_origin = -a.padding[1];
    t.stride_h = a.stride[0], t.stride_w = a.stride[1];
    for (std::int64_t i = 0; i < r; ++i) t.rows.push_back(i * a.dilation[0]);
    for (std::int64_t i = 0; i < s; ++i) t.cols.push_back(i * a.dilation[1]);
    t.out = y.data<T>() + g * o;
    t.oh = y.dim(1), t.ow = y.dim(2), t.o = o;
    t.out_pixel = y.dim(3), t.out_row = t.ow * t.out_pixel, t.out_image = t.oh * t.out_row;
    t.finish = finish;
    t.made = made;
    const float* filter = w.data<float>() + g * o * r * s * c;
    const auto weight = [=](std::int64_t i, std::int64_t j, std::int64_t k, std::int64_t* stride) {
      *stride = r * s * c;
      return filter + (i * s + j) * c + k;
    };
    tap_conv(t, packed_weights(t, w.sealed, key_of("conv2d_fwd", a, g, 0, 0), weight));
  }
}

template void convolve(const Conv2dArgs&, View, View, MutView, const Finish<float>&, const PixelsMade&);
template void convolve(const Conv2dArgs&, View, View, MutView, const Finish<BFloat16>&, const PixelsMade&);

template <class T>
void conv2d_fwd(const Conv2dArgs& a, View x, View w, MutView y) {
  if (y.numel() == 0) return;
  if (winograd_applies<T>(a, w, y))
    winograd_fwd<T>(a, x, w, y);
  else
    convolve<T>(a, x, w, y);
}

template <class T>
void convolve_back(const Conv2dArgs& a, bool accumulate, View dy, View w, MutView dx,
                   const PixelSource<T>& source) {
  if (dx.numel() == 0) return;
  if (winograd_applies<T>(a, w, dx)) {
    winograd_dgrad<T>(a, accumulate, dy, w, dx);
    return;
  }
  const std::int64_t r = w.dim(1), s = w.dim(2), i = w.dim(3), o = w.dim(0) / a.groups;
  bool covered = o > 0;  // whether every phase has a tap, and dy channels; the others are 0
  for (int ph = 0; ph < a.stride[0]; ++ph)
    covered &= !phase_taps(ph, r, a.stride[0], a.padding[0], a.dilation[0]).taps.empty();
  for (int ph = 0; ph < a.stride[1]; ++ph)
    covered &= !phase_taps(ph, s, a.stride[1], a.padding[1], a.dilation[1]).taps.empty();
  if (!covered && !accumulate) zero<T>(dx);
  if (o == 0) return;

  for (std::int64_t g = 0; g < a.groups; ++g)
    for (std::int64_t ph = 0; ph < std::min<std::int64_t>(a.stride[0], dx.dim(1)); ++ph)
      for (std::int64_t pw = 0; pw < std::min<std::int64_t>(a.stride[1], dx.dim(2)); ++pw) {
        const PhaseTaps th = phase_taps(ph, r, a.stride[0], a.padding[0], a.dilation[0]);
        const PhaseTaps tw = phase_taps(pw, s, a.stride[1], a.padding[1], a.dilation[1]);
        if (th.taps.empty() || tw.taps.empty()) continue;
        TapConv<T> t;
        t.in = dy.data<T>();
        t.source = source;
        t.n = dy.dim(0), t.h = dy.dim(1), t.w = dy.dim(2), t.in_channels = dy.dim(3);
        t.c_begin = g * o, t.c = o;
        t.row_origin = th.first, t.col_origin = tw.first;
        t.rows = th.taps, t.cols = tw.taps;
        t.oh = (dx.dim(1) - ph + a.stride[0] - 1) / a.stride[0],
        t.ow = (dx.dim(2) - pw + a.stride[1] - 1) / a.stride[1];
        t.o = i;
        t.out = dx.data<T>() + (ph * dx.dim(2) + pw) * dx.dim(3) + g * i;
        t.out_pixel = a.stride[1] * dx.dim(3), t.out_row = a.stride[0] * dx.dim(2) * dx.dim(3);
        t.out_image = dx.dim(1) * dx.dim(2) * dx.dim(3);
        t.finish.adds = accumulate;
        const float* filter = w.data<float>() + g * o * r * s * i;
        const auto weight = [&, filter](std::int64_t p, std::int64_t q, std::int64_t k,
                                        std::int64_t* stride) {
          *stride = 1;
          return filter + ((k * r + th.filter[static_cast<std::size_t>(p)]) * s +
                           tw.filter[static_cast<std::size_t>(q)]) *
                              i;
        };
        tap_conv(t, packed_weights(t, w.sealed, key_of("conv2d_dgrad", a, g, ph, pw), weight));
      }
}

template void convolve_back(const Conv2dArgs&, bool, View, View, MutView, const PixelSource<float>&);
template void convolve_back(const Conv2dArgs&, bool, View, View, MutView, const PixelSource<BFloat16>&);

template <class T>
void conv2d_dgrad(const Conv2dArgs& a, bool accumulate, View dy, View w, MutView dx) {
  convolve_back<T>(a, accumulate, dy, w, dx);
}

REPRISE_CPU_KERNEL(conv2d_fwd);
REPRISE_CPU_KERNEL(conv2d_dgrad);

}  // namespace reprise::kernels::cpu
