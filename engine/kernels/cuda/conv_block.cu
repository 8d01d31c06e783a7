// A convolution with its epilogue, fused, with the bits of its parts; see ../ref/conv_block.cpp.
// Only conv_block_stats stores the filter's output b; without b the other kernels recompute it.
#include "engine/kernels/cuda/launch.h"
#include "engine/kernels/cuda/statistics.h"
#include "engine/kernels/cuda/windows.h"

namespace reprise::kernels::cuda {
namespace {

Conv2dArgs same_size(View filter) {
  return Conv2dArgs::same_size(filter.dim(0), filter.dim(1));
}

// b = depthwise(x, filter), rounded to T as if stored; without a filter, x itself.
template <class T>
struct Filtered {
  const T* x;
  const float* filter;
  Windows z;
  std::int64_t channels, pixels;

  Filtered(View x_, View f)
      : x(x_.data<T>()),
        filter(f.data<float>()),
        z(x_.shape, x_.shape, f ? f.dim(0) : 1, f ? f.dim(1) : 1, f ? same_size(f) : Conv2dArgs{}),
        channels(x_.dim(3)),
        pixels(x_.dim(1) * x_.dim(2)) {}

  // Returns b at pixel `row`, counted over all images.
  __device__ float at(std::int64_t row, std::int64_t c) const {
    if (filter == nullptr) return value_of(x[row * channels + c]);
    const std::int64_t n = row / pixels, pixel = row % pixels;
    T b;
    store(b,
          depthwise_sum(z, x + n * pixels * channels, filter, pixel / z.width, pixel % z.width, channels, c));
    return value_of(b);
  }
};

// The gradient before the ReLU: dy where the ReLU was open, else 0. Without a ReLU, dy.
template <class T>
struct Gradient {
  const T* dy;
  const std::uint8_t* open;
  std::int64_t channels, bytes;
  Gradient(View dy_, View open_)
      : dy(dy_.data<T>()),
        open(open_.data<std::uint8_t>()),
        channels(dy_.dim(3)),
        bytes((dy_.dim(3) + 7) / 8) {}
  __device__ float at(std::int64_t row, std::int64_t c) const {
    const bool passes = open == nullptr || (open[row * bytes + c / 8] >> c % 8 & 1) != 0;
    return passes ? value_of(dy[row * channels + c]) : 0;
  }
};

std::int64_t pixels_of(View images) {
  return images.dim(0) * images.dim(1) * images.dim(2);
}

}  // namespace

// Takes the sums of batch_norm_stats while it writes the filter's output.
template <class T>
void conv_block_stats(const ConvBlockArgs& a, const BlockStatsIn& in, const BlockStatsOut& out) {
  if (in.w) conv2d_fwd<T>(a.conv, in.x, in.w, out.made);
  const View made = in.w ? View(out.made) : in.x;
  if (!in.filter) {
    batch_norm_stats<T>(made, out.mean, out.var);
    return;
  }
  const Filtered<T> filtered(made, in.filter);
  const std::int64_t channels = made.dim(3);
  const double count = static_cast<double>(pixels_of(made));
  const Scratch scratch(static_cast<std::size_t>(channels) * sizeof(float));
  float *first = scratch.as<float>(), *mean = out.mean.data<float>(), *var = out.var.data<float>();
  T* b = out.b.data<T>();
  each_element(channels, [=] __device__(std::int64_t c) { first[c] = filtered.at(0, c); });
  channel_sums<2>(
      1, pixels_of(made), channels,
      [=] __device__(std::int64_t, std::int64_t row, std::int64_t c, double* sum) {
        const float value = filtered.at(row, c);
        store(b[row * channels + c], value);
        const double d = static_cast<double>(value) - static_cast<double>(first[c]);
        sum[0] += d;
        sum[1] += d * d;
      },
      [=] __device__(std::int64_t c, const double* sum) {
        const double m = sum[0] / count;
        const double v = sum[1] / count - m * m;
        mean[c] = static_cast<float>(static_cast<double>(first[c]) + m);
        var[c] = static_cast<float>(v < 0 ? 0 : v);
      });
}

// Each thread computes eight channels of a pixel, whose ReLU bits form one byte of `open`.
template <class T>
void conv_block_fwd(const ConvBlockArgs& a, const BlockFwdIn& in, const BlockFwdOut& out) {
  const MutView made = in.filter ? out.made : out.y;
  if (in.w) conv2d_fwd<T>(a.conv, in.x, in.w, made);
  const Filtered<T> filtered(in.w ? View(made) : in.x, in.filter);
  const std::int64_t channels = out.y.dim(3), bytes = (channels + 7) / 8;
  const float eps = static_cast<float>(a.eps);
  const bool relu = a.relu;
  const float *m = in.mean.data<float>(), *v = in.var.data<float>(), *scale = in.gamma.data<float>(),
              *shift = in.beta.data<float>();
  const T* residual = in.residual.data<T>();
  T* y = out.y.data<T>();
  std::uint8_t* open = out.open.data<std::uint8_t>();
  each_in_rows(pixels_of(out.y), bytes, [=] __device__(std::int64_t row, std::int64_t byte) {
    unsigned set = 0;
    for (std::int64_t c = byte * 8; c < channels && c < byte * 8 + 8; ++c) {
      const std::int64_t i = row * channels + c;
      T stored;
      store(stored, normalized(filtered.at(row, c), m[c], v[c], scale[c], shift[c], eps));
      if (residual != nullptr) store(stored, value_of(stored) + value_of(residual[i]));
      if (relu && value_of(stored) < 0) store(stored, 0.0F);
      y[i] = stored;
      if (value_of(stored) > 0) set |= 1u << c % 8;
    }
    if (open != nullptr) open[row * bytes + byte] = static_cast<std::uint8_t>(set);
  });
}

template <class T>
void conv_block_bwd_params(const ConvBlockArgs& a, const BlockParamsIn& in, const BlockParamsOut& out) {
  const Filtered<T> filtered(in.x, in.filter);
  const Gradient<T> gradient(in.dy, in.open);
  const double eps = a.eps;
  const float *m = in.mean.data<float>(), *v = in.var.data<float>();
  float *dgamma = out.dgamma.data<float>(), *dbeta = out.dbeta.data<float>();
  channel_sums<2>(
      1, pixels_of(in.x), in.x.dim(3),
      [=] __device__(std::int64_t, std::int64_t row, std::int64_t c, double* sum) {
        const double d = static_cast<double>(gradient.at(row, c));
        sum[0] += d * (static_cast<double>(filtered.at(row, c)) - static_cast<double>(m[c]));
        sum[1] += d;
      },
      [=] __device__(std::int64_t c, const double* sum) {
        dgamma[c] = static_cast<float>(sum[0] / sqrt(static_cast<double>(v[c]) + eps));
        dbeta[c] = static_cast<float>(sum[1]);
      });
}

// The gradient db of batch norm's input goes to scratch memory if a filter or a 1x1 convolution
// needs it: several elements of dx depend on each of its values.
template <class T>
void conv_block_bwd(const ConvBlockArgs& a, bool accumulate, const BlockGradIn& in, const BlockGradOut& out) {
  const Gradient<T> gradient(in.dy, in.open);
  const std::int64_t channels = in.dy.dim(3), pixels = pixels_of(in.dy);
  const float eps = static_cast<float>(a.eps), count = static_cast<float>(pixels);
  if (out.dresidual) {
    T* residual = out.dresidual.data<T>();
    each_in_rows(pixels, channels, [=] __device__(std::int64_t row, std::int64_t c) {
      store(residual[row * channels + c], gradient.at(row, c));
    });
  }
  if (!out.dx && !out.dfilter) return;
  const bool goes_on = in.filter || in.w;
  const Scratch scratch(goes_on ? static_cast<std::size_t>(in.dy.numel()) * sizeof(T) : 0);
  T* db = goes_on ? scratch.as<T>() : out.dx.data<T>();
  const float *m = in.mean.data<float>(), *v = in.var.data<float>(), *scale = in.gamma.data<float>(),
              *dgamma = in.dgamma.data<float>(), *dbeta = in.dbeta.data<float>();
  if (!in.dgamma) {
    each_in_rows(pixels, channels, [=] __device__(std::int64_t row, std::int64_t c) {
      store(db[row * channels + c], gradient.at(row, c) * (scale[c] / sqrtf(v[c] + eps)));
    });
  } else {
    const Filtered<T> filtered(in.b ? in.b : in.x, in.b ? View{} : in.filter);
    each_in_rows(pixels, channels, [=] __device__(std::int64_t row, std::int64_t c) {
      store(db[row * channels + c], input_gradient(filtered.at(row, c), gradient.at(row, c), m[c], v[c],
                                                   scale[c], dgamma[c], dbeta[c], count, eps));
    });
  }
  const View made{db, in.dy.shape, in.dy.dtype};
  if (in.filter && out.dx) depthwise_dgrad<T>(same_size(in.filter), made, in.filter, out.dx);
  if (in.filter && out.dfilter) depthwise_wgrad<T>(same_size(in.filter), in.x, made, out.dfilter);
  if (in.w) conv2d_dgrad<T>(a.conv, accumulate, made, in.w, out.dx);
}

REPRISE_CUDA_IMAGE_KERNEL(conv_block_stats);
REPRISE_CUDA_IMAGE_KERNEL(conv_block_fwd);
REPRISE_CUDA_IMAGE_KERNEL(conv_block_bwd_params);
REPRISE_CUDA_IMAGE_KERNEL(conv_block_bwd);

}  // namespace reprise::kernels::cuda
