// Convolution over images. It is a cross-correlation: the filter is not flipped.
//
//   y[n,p,q,o] = sum_{r,s,i} x[n,h,v,c] * w[o,r,s,i]
//
//   h = p*stride[0] - padding[0] + r*dilation[0]      the input row under tap r
//   v = q*stride[1] - padding[1] + s*dilation[1]      the input column under tap s
//   c = g*I + i,   g = o / (O/groups)                 channel i of o's group
//
// x (N,H,W,C), w (O,R,S,I) with I = C/groups, y (N,OH,OW,O). Outside the image x is 0.
// The gradients sum the same products:
//
//   dx[n,h,v,c] = sum dy[n,p,q,o] * w[o,r,s,i]   over all p,q,r,s,o for which y used x[n,h,v,c]
//   dw[o,r,s,i] = sum dy[n,p,q,o] * x[n,h,v,c]   over n,p,q
#include "engine/kernels/ref/loops.h"

namespace reprise::kernels::ref {

// The sizes of x (n,h,w,c), y (n,oh,ow,o) and w (o,r,s,i), and the offsets of their elements.
struct ConvSizes {
  std::int64_t n, h, w, c, oh, ow, o, r, s, i;
  ConvSizes(const Shape& x, const Shape& f, const Shape& y)
      : n(x[0]), h(x[1]), w(x[2]), c(x[3]), oh(y[1]), ow(y[2]), o(y[3]), r(f[1]), s(f[2]), i(f[3]) {}
  std::int64_t x_at(std::int64_t b, std::int64_t y, std::int64_t x) const {
    return ((b * h + y) * w + x) * c;
  }
  std::int64_t y_at(std::int64_t b, std::int64_t y, std::int64_t x) const {
    return ((b * oh + y) * ow + x) * o;
  }
  std::int64_t f_at(std::int64_t k, std::int64_t y, std::int64_t x) const {
    return ((k * r + y) * s + x) * i;
  }
};

template <class T>
void conv2d_fwd(const Conv2dArgs& a, View x, View w, MutView y) {
  const ConvSizes z(x.shape, w.shape, y.shape);
  const std::int64_t per_group = z.o / a.groups;
  parallel_for(z.n * z.oh, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row)
      for (std::int64_t q = 0; q < z.ow; ++q)
        for (std::int64_t o = 0; o < z.o; ++o) {
          const std::int64_t n = row / z.oh, p = row % z.oh, first = o / per_group * z.i;
          T sum = 0;
          for (std::int64_t r = 0; r < z.r; ++r)
            for (std::int64_t s = 0; s < z.s; ++s) {
              const std::int64_t h = p * a.stride[0] - a.padding[0] + r * a.dilation[0];
              const std::int64_t v = q * a.stride[1] - a.padding[1] + s * a.dilation[1];
              if (h < 0 || h >= z.h || v < 0 || v >= z.w) continue;
              const T* in = x.data<T>() + z.x_at(n, h, v) + first;
              const T* filter = w.data<T>() + z.f_at(o, r, s);
              for (std::int64_t i = 0; i < z.i; ++i) sum += in[i] * filter[i];
            }
          y.data<T>()[z.y_at(n, p, q) + o] = sum;
        }
  });
}

// Each element gathers from the outputs that used it; p and q are their positions times stride.
template <class T>
void conv2d_dgrad(const Conv2dArgs& a, bool accumulate, View dy, View w, MutView dx) {
  const ConvSizes z(dx.shape, w.shape, dy.shape);
  const std::int64_t per_group = z.o / a.groups;
  parallel_for(z.n * z.h, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row)
      for (std::int64_t v = 0; v < z.w; ++v)
        for (std::int64_t c = 0; c < z.c; ++c) {
          const std::int64_t n = row / z.h, h = row % z.h, group = c / z.i;
          T sum = 0;
          for (std::int64_t r = 0; r < z.r; ++r)
            for (std::int64_t s = 0; s < z.s; ++s) {
              const std::int64_t p = h + a.padding[0] - r * a.dilation[0],
                                 q = v + a.padding[1] - s * a.dilation[1];
              if (p < 0 || p % a.stride[0] || p / a.stride[0] >= z.oh) continue;
              if (q < 0 || q % a.stride[1] || q / a.stride[1] >= z.ow) continue;
              const T* out = dy.data<T>() + z.y_at(n, p / a.stride[0], q / a.stride[1]);
              for (std::int64_t o = group * per_group; o < (group + 1) * per_group; ++o)
                sum += out[o] * w.data<T>()[z.f_at(o, r, s) + c % z.i];
            }
          T& to = dx.data<T>()[z.x_at(n, h, v) + c];
          to = accumulate ? to + sum : sum;
        }
  });
}

template <class T>
void conv2d_wgrad(const Conv2dArgs& a, View x, View dy, MutView dw) {
  const ConvSizes z(x.shape, dw.shape, dy.shape);
  const std::int64_t per_group = z.o / a.groups;
  parallel_for(z.o, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t o = begin; o < end; ++o)
      for (std::int64_t r = 0; r < z.r; ++r)
        for (std::int64_t s = 0; s < z.s; ++s)
          for (std::int64_t i = 0; i < z.i; ++i) {
            T sum = 0;
            for (std::int64_t n = 0; n < z.n; ++n)
              for (std::int64_t p = 0; p < z.oh; ++p)
                for (std::int64_t q = 0; q < z.ow; ++q) {
                  const std::int64_t h = p * a.stride[0] - a.padding[0] + r * a.dilation[0];
                  const std::int64_t v = q * a.stride[1] - a.padding[1] + s * a.dilation[1];
                  if (h < 0 || h >= z.h || v < 0 || v >= z.w) continue;
                  sum += x.data<T>()[z.x_at(n, h, v) + o / per_group * z.i + i] *
                         dy.data<T>()[z.y_at(n, p, q) + o];
                }
            dw.data<T>()[z.f_at(o, r, s) + i] = sum;
          }
  });
}

REPRISE_REF_KERNEL(conv2d_fwd);
REPRISE_REF_KERNEL(conv2d_dgrad);
REPRISE_REF_KERNEL(conv2d_wgrad);

}  // namespace reprise::kernels::ref
