// Convolution of each channel c with its own filter. The symbols are those of conv2d.cpp.
//   y[n,p,q,c]  = sum_{r,s} x[n,h,v,c] * w[r,s,c]
//   dx[n,h,v,c] = sum dy[n,p,q,c] * w[r,s,c]   over all p,q,r,s for which y used x[n,h,v,c]
//   dw[r,s,c]   = sum dy[n,p,q,c] * x[n,h,v,c]   over n,p,q
#include "engine/kernels/ref/loops.h"

namespace reprise::kernels::ref {

template <class T>
void depthwise_fwd(const Conv2dArgs& a, View x, View w, MutView y) {
  const std::int64_t height = x.dim(1), width = x.dim(2), channels = x.dim(3), oh = y.dim(1), ow = y.dim(2);
  const std::int64_t taps_h = w.dim(0), taps_w = w.dim(1);
  each_output(y.numel(), taps_h * taps_w, [&](std::int64_t i) {
    const std::int64_t c = i % channels, q = i / channels % ow, p = i / channels / ow % oh;
    const std::int64_t n = i / channels / ow / oh;
    T sum = 0;
    for (std::int64_t r = 0; r < taps_h; ++r)
      for (std::int64_t s = 0; s < taps_w; ++s) {
        const std::int64_t h = p * a.stride[0] - a.padding[0] + r * a.dilation[0];
        const std::int64_t v = q * a.stride[1] - a.padding[1] + s * a.dilation[1];
        if (h < 0 || h >= height || v < 0 || v >= width) continue;
        sum += x.data<T>()[((n * height + h) * width + v) * channels + c] *
               w.data<T>()[(r * taps_w + s) * channels + c];
      }
    y.data<T>()[i] = sum;
  });
}

// Each element gathers from the outputs that used it; p and q are their positions times stride.
template <class T>
void depthwise_dgrad(const Conv2dArgs& a, View dy, View w, MutView dx) {
  const std::int64_t height = dx.dim(1), width = dx.dim(2), channels = dx.dim(3), oh = dy.dim(1),
                     ow = dy.dim(2);
  const std::int64_t taps_h = w.dim(0), taps_w = w.dim(1);
  each_output(dx.numel(), taps_h * taps_w, [&](std::int64_t i) {
    const std::int64_t c = i % channels, v = i / channels % width, h = i / channels / width % height;
    const std::int64_t n = i / channels / width / height;
    T sum = 0;
    for (std::int64_t r = 0; r < taps_h; ++r)
      for (std::int64_t s = 0; s < taps_w; ++s) {
        const std::int64_t p = h + a.padding[0] - r * a.dilation[0], q = v + a.padding[1] - s * a.dilation[1];
        if (p < 0 || p % a.stride[0] || p / a.stride[0] >= oh) continue;
        if (q < 0 || q % a.stride[1] || q / a.stride[1] >= ow) continue;
        sum += dy.data<T>()[((n * oh + p / a.stride[0]) * ow + q / a.stride[1]) * channels + c] *
               w.data<T>()[(r * taps_w + s) * channels + c];
      }
    dx.data<T>()[i] = sum;
  });
}

template <class T>
void depthwise_wgrad(const Conv2dArgs& a, View x, View dy, MutView dw) {
  const std::int64_t height = x.dim(1), width = x.dim(2), channels = x.dim(3), oh = dy.dim(1), ow = dy.dim(2);
  const std::int64_t taps_w = dw.dim(1), images = x.dim(0);
  each_output(dw.numel(), images * oh * ow, [&](std::int64_t i) {
    const std::int64_t c = i % channels, s = i / channels % taps_w, r = i / channels / taps_w;
    T sum = 0;
    for (std::int64_t n = 0; n < images; ++n)
      for (std::int64_t p = 0; p < oh; ++p)
        for (std::int64_t q = 0; q < ow; ++q) {
          const std::int64_t h = p * a.stride[0] - a.padding[0] + r * a.dilation[0];
          const std::int64_t v = q * a.stride[1] - a.padding[1] + s * a.dilation[1];
          if (h < 0 || h >= height || v < 0 || v >= width) continue;
          sum += x.data<T>()[((n * height + h) * width + v) * channels + c] *
                 dy.data<T>()[((n * oh + p) * ow + q) * channels + c];
        }
    dw.data<T>()[i] = sum;
  });
}

REPRISE_REF_KERNEL(depthwise_fwd);
REPRISE_REF_KERNEL(depthwise_dgrad);
REPRISE_REF_KERNEL(depthwise_wgrad);

}  // namespace reprise::kernels::ref
