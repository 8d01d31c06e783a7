// What stands behind a convolution, fused; ../ref/conv_tail.cpp defines it by its parts, whose bits these
// have. The filter's output is made again where it is needed, but for the statistics, which leave it in
// memory.
#include <optional>

#include "engine/kernels/cuda/launch.h"
#include "engine/kernels/cuda/statistics.h"
#include "engine/kernels/cuda/windows.h"

namespace reprise::kernels::cuda {
namespace {

Conv2dArgs same_size(View w) {
  return Conv2dArgs::same_size(w.dim(1), w.dim(2));
}

// b = depthwise(x, w), rounded as it would be stored, or x itself where there is no filter.
template <class T>
struct Filtered {
  const T* x;
  const float* w;
  Windows z;
  std::int64_t channels, pixels, group_images;

  Filtered(View x_, View w_, std::int64_t groups)
      : x(x_.data<T>()),
        w(w_.data<float>()),
        z(x_.shape, x_.shape, w_ ? w_.dim(1) : 1, w_ ? w_.dim(2) : 1, w_ ? same_size(w_) : Conv2dArgs{}),
        channels(x_.dim(3)),
        pixels(x_.dim(1) * x_.dim(2)),
        group_images(groups == 0 ? 1 : x_.dim(0) / groups) {}

  // At pixel `row`, counted over all images.
  __device__ float at(std::int64_t row, std::int64_t c) const {
    if (w == nullptr) return value_of(x[row * channels + c]);
    const std::int64_t n = row / pixels, pixel = row % pixels;
    T b;
    store(b,
          depthwise_sum(z, x + n * pixels * channels, w + n / group_images * z.taps_h * z.taps_w * channels,
                        pixel / z.width, pixel % z.width, channels, c));
    return value_of(b);
  }
};

// dy, or where a ReLU followed what it let through.
template <class T>
struct Gradient {
  const T* dy;
  const std::uint8_t* positive;
  std::int64_t channels, bytes;
  Gradient(View dy_, View positive_)
      : dy(dy_.data<T>()),
        positive(positive_.data<std::uint8_t>()),
        channels(dy_.dim(3)),
        bytes((dy_.dim(3) + 7) / 8) {}
  __device__ float at(std::int64_t row, std::int64_t c) const {
    const bool open = positive == nullptr || (positive[row * bytes + c / 8] >> c % 8 & 1) != 0;
    return open ? value_of(dy[row * channels + c]) : 0;
  }
};

}  // namespace

// As batch_norm_stats, while the filter's output is written.
template <class T>
void conv_tail_stats(View x, View w, MutView b, MutView mean, MutView var) {
  const Groups g(x.shape, mean.shape);
  const Filtered<T> filtered(x, w, g.groups);
  const Scratch scratch(static_cast<std::size_t>(g.groups * g.channels) * sizeof(float));
  float *first = scratch.as<float>(), *out_mean = mean.data<float>(), *out_var = var.data<float>();
  T* out = b.data<T>();
  each_in_rows(g.groups, g.channels, [=] __device__(std::int64_t t, std::int64_t c) {
    first[t * g.channels + c] = filtered.at(t * g.count, c);
  });
  channel_sums<2>(
      g.groups, g.count, g.channels,
      [=] __device__(std::int64_t t, std::int64_t i, std::int64_t c, double* sum) {
        const std::int64_t row = t * g.count + i;
        const float value = filtered.at(row, c);
        store(out[row * g.channels + c], value);
        const double d = static_cast<double>(value) - static_cast<double>(first[t * g.channels + c]);
        sum[0] += d;
        sum[1] += d * d;
      },
      [=] __device__(std::int64_t k, const double* sum) {
        const double m = sum[0] / static_cast<double>(g.count);
        const double v = sum[1] / static_cast<double>(g.count) - m * m;
        out_mean[k] = static_cast<float>(static_cast<double>(first[k]) + m);
        out_var[k] = static_cast<float>(v < 0 ? 0 : v);
      });
}

// A thread makes eight channels of a pixel, whose bits are one byte.
template <class T>
void conv_tail_fwd(const ConvTailArgs& a, View x, View w, View mean, View var, View gamma, View beta,
                   View residual, MutView y, MutView positive) {
  const Groups g(x.shape, mean.shape);
  const Filtered<T> filtered(x, w, g.groups);
  const float eps = static_cast<float>(a.eps);
  const bool relu = a.relu;
  const float *m = mean.data<float>(), *v = var.data<float>(), *scale = gamma.data<float>(),
              *shift = beta.data<float>();
  const T* added = residual.data<T>();
  T* out = y.data<T>();
  std::uint8_t* bits = positive.data<std::uint8_t>();
  const std::int64_t bytes = (g.channels + 7) / 8;
  each_in_rows(g.groups * g.count, bytes, [=] __device__(std::int64_t row, std::int64_t byte) {
    unsigned set = 0;
    for (std::int64_t c = byte * 8; c < g.channels && c < byte * 8 + 8; ++c) {
      const std::int64_t i = row * g.channels + c, k = g.of(row, c);
      T stored;
      store(stored, normalized(filtered.at(row, c), m[k], v[k], scale[k], shift[k], eps));
      if (added != nullptr) store(stored, value_of(stored) + value_of(added[i]));
      if (relu && value_of(stored) < 0) store(stored, 0.0F);
      out[i] = stored;
      if (value_of(stored) > 0) set |= 1u << c % 8;
    }
    if (bits != nullptr) bits[row * bytes + byte] = static_cast<std::uint8_t>(set);
  });
}

template <class T>
void conv_tail_bwd_params(const ConvTailArgs& a, View x, View w, View dy, View positive, View mean, View var,
                          MutView dgamma, MutView dbeta) {
  const Groups g(x.shape, mean.shape);
  const Filtered<T> filtered(x, w, g.groups);
  const Gradient<T> gradient(dy, positive);
  const double eps = a.eps;
  const float *m = mean.data<float>(), *v = var.data<float>();
  float *out_gamma = dgamma.data<float>(), *out_beta = dbeta.data<float>();
  channel_sums<2>(
      g.groups, g.count, g.channels,
      [=] __device__(std::int64_t t, std::int64_t i, std::int64_t c, double* sum) {
        const std::int64_t row = t * g.count + i;
        const double d = static_cast<double>(gradient.at(row, c));
        sum[0] += d * (static_cast<double>(filtered.at(row, c)) - static_cast<double>(m[t * g.channels + c]));
        sum[1] += d;
      },
      [=] __device__(std::int64_t k, const double* sum) {
        out_gamma[k] = static_cast<float>(sum[0] / sqrt(static_cast<double>(v[k]) + eps));
        out_beta[k] = static_cast<float>(sum[1]);
      });
}

// The gradient db of the filter's output goes through memory: nine outputs of dx need each.
template <class T>
void conv_tail_bwd(const ConvTailArgs& a, View x, View b, View w, View dy, View positive, View mean, View var,
                   View gamma, View dgamma, View dbeta, MutView dx, MutView dw, MutView dresidual) {
  const Groups g(dy.shape, var.shape);
  const Gradient<T> gradient(dy, positive);
  const float eps = static_cast<float>(a.eps), count = static_cast<float>(g.count);
  if (dresidual) {
    T* out = dresidual.data<T>();
    each_in_rows(g.groups * g.count, g.channels, [=] __device__(std::int64_t row, std::int64_t c) {
      store(out[row * g.channels + c], gradient.at(row, c));
    });
  }
  if (!dx && !dw) return;
  std::optional<Scratch> scratch;
  if (w) scratch.emplace(static_cast<std::size_t>(dy.numel()) * sizeof(T));
  T* db = w ? scratch->template as<T>() : dx.data<T>();
  const float *m = mean.data<float>(), *v = var.data<float>(), *scale = gamma.data<float>(),
              *sum_gamma = dgamma.data<float>(), *sum_beta = dbeta.data<float>();
  if (!dgamma) {
    each_in_rows(g.groups * g.count, g.channels, [=] __device__(std::int64_t row, std::int64_t c) {
      const std::int64_t k = g.of(row, c);
      store(db[row * g.channels + c], gradient.at(row, c) * (scale[k] / sqrtf(v[k] + eps)));
    });
  } else {
    const Filtered<T> filtered(b ? b : x, b ? View{} : w, g.groups);
    each_in_rows(g.groups * g.count, g.channels, [=] __device__(std::int64_t row, std::int64_t c) {
      const std::int64_t k = g.of(row, c);
      store(db[row * g.channels + c], input_gradient(filtered.at(row, c), gradient.at(row, c), m[k], v[k],
                                                     scale[k], sum_gamma[k], sum_beta[k], count, eps));
    });
  }
  if (!w) return;
  const View made{db, dy.shape, dy.dtype};
  if (dx) depthwise_dgrad<T>(same_size(w), made, w, dx);
  if (dw) depthwise_wgrad<T>(same_size(w), x, made, dw);
}

REPRISE_CUDA_IMAGE_KERNEL(conv_tail_stats);
REPRISE_CUDA_IMAGE_KERNEL(conv_tail_fwd);
REPRISE_CUDA_IMAGE_KERNEL(conv_tail_bwd_params);
REPRISE_CUDA_IMAGE_KERNEL(conv_tail_bwd);

}  // namespace reprise::kernels::cuda
