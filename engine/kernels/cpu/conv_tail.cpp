// What stands behind a convolution, fused. A large output b of the filter is not kept from forward to
// backward: it is made again, a few image rows at a time, and used while it is in cache, for nine
// multiply-adds cost less than memory. The sums run over the same chunks as those of the plain kernels, so
// fused and plain have the same bits.
#include "engine/kernels/cpu/conv_tail.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <optional>

#include "engine/core/parallel.h"
#include "engine/kernels/cpu/depthwise_rows.h"
#include "engine/kernels/cpu/filtered_rows.h"
#include "engine/kernels/cpu/instantiate.h"
#include "engine/kernels/cpu/leaf/conv_tail.h"
#include "engine/kernels/cpu/leaf/pool.h"
#include "engine/kernels/cpu/pool_rows.h"
#include "engine/kernels/cpu/scratch.h"
#include "engine/kernels/cpu/streams.h"
#include "engine/kernels/cpu/sums.h"
#include "engine/kernels/kernels.h"

namespace reprise::kernels::cpu {
namespace {

// The gradient of y, rows of images as above: it lies in memory, with bits that say where a ReLU let it
// through, or is made from that of a max pool behind it, whose taps know about the ReLU.
template <class T>
class OutputGradient {
 public:
  OutputGradient(View dy, View positive)
      : dy_(dy), positive_(positive), width_(dy.dim(2)), row_(width_ * dy.dim(3)) {}
  OutputGradient(const Pool2dArgs& pool, const Shape& images, View dy, View tap)
      : dy_(dy),
        tap_(tap),
        width_(images[2]),
        row_(width_ * images[3]),
        pooled_(PoolRows::backward(pool, images, dy.shape)) {}

  // Whether rows() makes them: a few at a time then.
  bool is_made() const { return pooled_.has_value(); }
  const T* rows(std::int64_t begin, std::int64_t end) const {
    if (!pooled_) return dy_.data<T>() + begin * row_;
    T* to = scratch_of<T>(1, static_cast<std::size_t>((end - begin) * row_));
    for (std::int64_t i = begin; i < end; ++i)
      pooled_->each_run(i, [&](const PoolRun& r) {
        pool_leaf<T>().max_bwd(r.window, r.first_tap, dy_.data<T>() + r.in, tap_.data<std::uint8_t>() + r.in,
                               to + r.out - begin * row_);
      });
    return to;
  }
  const std::uint8_t* bits(std::int64_t row) const { return bits_at(positive_, row * width_); }

 private:
  View dy_, positive_, tap_;
  std::int64_t width_, row_;
  std::optional<PoolRows> pooled_;
};

// What follows for the winners of a max pool, `pixels` of them.
template <class T>
void finish_pooled(const ConvTailArgs& a, const T* winners, const float* mean, const float* scale,
                   const float* shift, T* y, std::uint8_t* taps, std::int64_t pixels, std::int64_t channels) {
  conv_tail_leaf<T>().finish(winners, channels, mean, scale, shift, nullptr, a.relu, y, nullptr, false,
                             pixels, channels, channels);
  if (a.relu) pool_leaf<T>().close(y, taps, pixels * channels);
}

// The sums of batch norm's gradients over chunks of images. Calls f(chunk, mean, sums, sums of products) for
// each chunk, by any thread.
template <class F>
void sum_gradients(const ConvTailArgs& a, const Shape& images, View mean, View var, MutView dgamma,
                   MutView dbeta, F f) {
  const GroupChunks z = GroupChunks::of_images(images, mean.dim(0), sum_chunk);
  const std::int64_t c = z.channels;
  float* parts = partial_sums(z.total() * 2 * c);
  parallel_for(z.total(), 1, [&](std::int64_t k, std::int64_t) {
    float* sums = parts + k * 2 * c;
    std::fill_n(sums, 2 * c, 0.0F);
    f(z, k, mean.data<float>() + z.group(k) * c, sums, sums + c);
  });
  join_gradient_sums(z, parts, a.eps, var, dgamma, dbeta);
}

// The gradient db of the filter's output is made in scratch memory too, with the rows above and below that
// the filter reaches; dx and the chunk's part of dw come from it.
template <class T>
void bwd(const ConvTailArgs& a, const Shape& images, View x, View b, View w, const OutputGradient<T>& dy,
         View mean, View var, View gamma, View dgamma, View dbeta, MutView dx, MutView dw,
         MutView dresidual) {
  const GroupChunks z = GroupChunks::of_images(images, var.dim(0), filter_chunk);
  const std::int64_t height = images[1], width = images[2], c = images[3], row = width * c;
  const bool constants = !dgamma;
  const FilteredRows<T> filtered(x ? x : View{nullptr, images}, w);
  const std::optional<DepthwiseRows> back =
      w ? std::optional(DepthwiseRows::backward(same_size(w), images, w.shape, images)) : std::nullopt;
  const std::vector<float> scale = normal_scale(gamma, var, a.eps);
  const InputGradient g =
      constants ? InputGradient{} : input_gradient(dgamma, dbeta, var, z.group_rows, a.eps);
  const std::int64_t filter = w ? w.dim(1) * w.dim(2) * c : 0;
  float* partial = dw ? partial_sums(z.total() * filter) : nullptr;

  parallel_for(z.total(), 1, [&](std::int64_t k, std::int64_t) {
    const std::int64_t s = z.group(k) * c, first = z.begin(k) / width, last = first + z.rows(k) / width;
    const ConvTailLeaf<T>& leaf = conv_tail_leaf<T>();
    // db of `rows` image rows from row i on; made of b, which is kept, or lies in `out`, or is x without a
    // filter.
    const auto input_gradient_rows = [&](std::int64_t i, std::int64_t rows, const T* grads, T* out,
                                         bool past) {
      if (constants)
        leaf.masked(grads, dy.bits(i), scale.data() + s, out, past, rows * width, c);
      else
        leaf.grad_input(b   ? b.data<T>() + i * row
                        : w ? out
                            : x.data<T>() + i * row,
                        grads, dy.bits(i), mean.data<float>() + s, g.grad_mean.data() + s, g.slope.data() + s,
                        scale.data() + s, out, past, rows * width, c);
    };
    if (dresidual)
      leaf.masked(dy.rows(first, last), dy.bits(first), nullptr, dresidual.data<T>() + first * row,
                  streams<T>(dresidual), z.rows(k), c);
    if (!w) {
      const std::int64_t step = dy.is_made() ? 1 : last - first;
      for (std::int64_t i = first; dx && i < last; i += step)
        input_gradient_rows(i, step, dy.rows(i, i + step), dx.data<T>() + i * row, streams<T>(dx));
      flush_streams();
      return;
    }
    if (!dx && !dw) return flush_streams();
    const std::int64_t reach = dx ? w.dim(1) / 2 : 0;
    const std::int64_t low = std::max(first - reach, first / height * height);
    const std::int64_t high = std::min(last + reach, ((last - 1) / height + 1) * height);
    T* db = filtered.strip(high - low);
    float* taps = dw ? partial + k * filter : nullptr;
    if (dw) std::fill_n(taps, filter, 0.0F);
    std::int64_t made = low;  // rows of db
    for (std::int64_t i = first; i < last; ++i) {
      for (; made < std::min(high, i + reach + 1); ++made) {
        T* out = db + (made - low) * row;
        const T* grads = dy.rows(made, made + 1);
        if (!constants && !b) filtered.into(out, made, grads);
        input_gradient_rows(made, 1, grads, out, false);
      }
      if (dx)
        back->gather(db, low, w.data<float>(), i, dx.data<T>() + i * row,
                     dx.data<T>() + std::min(i + 1, last - 1) * row);
      if (dw) filtered.correlate(db + (i - low) * row, i, taps);
    }
    flush_streams();
  });
  if (dw) join_sums(z, partial, filter, dw.data<float>());
}

}  // namespace

template <class T>
void conv_tail_stats(View x, View w, MutView b, MutView mean, MutView var) {
  const GroupChunks z = GroupChunks::of_images(x.shape, mean.dim(0), sum_chunk);
  const FilteredRows<T> filtered(x, w);
  const std::int64_t width = x.dim(2), c = z.channels, row = width * c;
  float* parts = partial_sums(z.total() * 3 * c);
  parallel_for(z.total(), 1, [&](std::int64_t k, std::int64_t) {
    const std::int64_t first = z.begin(k) / width, last = first + z.rows(k) / width;
    T* out = b.data<T>();
    for (std::int64_t i = first; i < last; ++i)
      filtered.into(out + i * row, i, out + std::min(i + 1, last - 1) * row);
    chunk_moments(out + first * row, z.rows(k), c, parts + k * 3 * c);
  });
  join_moments(z, parts, mean, var);
}

template <class T>
void conv_tail_fwd(const ConvTailArgs& a, View x, View w, View mean, View var, View gamma, View beta,
                   View residual, MutView y, MutView positive) {
  const FilteredRows<T> b(x, w);
  const std::int64_t width = x.dim(2), channels = x.dim(3), row = b.row(), image_rows = x.dim(0) * x.dim(1);
  const std::int64_t group_rows = std::max<std::int64_t>(1, image_rows / mean.dim(0));
  const std::vector<float> scale = normal_scale(gamma, var, a.eps);
  const bool past = x.data<T>() != y.data<T>() && streams<T>(y);
  parallel_for(image_rows, rows_per_chunk(1 << 15, row), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t s = i / group_rows * channels;
      conv_tail_leaf<T>().finish(
          b.rows(i, i + 1, y.data<T>() + i * row), channels, mean.data<float>() + s, scale.data() + s,
          beta.data<float>() + s, residual ? residual.data<T>() + i * row : nullptr, a.relu,
          y.data<T>() + i * row,
          positive ? positive.data<std::uint8_t>() + i * width * positive.dim(3) : nullptr, past, width,
          channels, channels);
    }
    flush_streams();
  });
}

// Batch norm and ReLU keep the order of their inputs, or turn it round, so the max pool comes first and they
// follow for the winners alone. What the filter makes for a pooled row lies in scratch memory, where the next
// one finds the rows that both see.
template <class T>
void conv_tail_pool_fwd(const ConvTailArgs& a, const Pool2dArgs& pool, View x, View w, View mean, View var,
                        View gamma, View beta, MutView y, MutView tap, MutView winner) {
  const FilteredRows<T> b(x, w);
  const PoolRows rows = PoolRows::forward(pool, x.shape, y.shape);
  const std::int64_t channels = x.dim(3), row = b.row(), pooled_row = y.dim(2) * channels,
                     group_rows = std::max<std::int64_t>(1, y.dim(0) * y.dim(1) / mean.dim(0)),
                     room = pool.kernel[0] + 4 * pool.stride[0];
  const std::vector<float> scale = normal_scale(gamma, var, a.eps);
  T* winners = winner ? winner.data<T>() : y.data<T>();
  parallel_for(y.dim(0) * y.dim(1), rows_per_chunk(1 << 16, row), [&](std::int64_t begin, std::int64_t end) {
    T* strip = w ? b.strip(room) : nullptr;
    std::int64_t low = rows.sources(begin).begin, high = low;  // the rows that are in it
    for (std::int64_t i = begin; i < end; ++i) {
      const PoolRows::Range seen = rows.sources(i);
      const T* first = x.data<T>();  // of image row `from`
      std::int64_t from = 0;
      if (w) {
        if (seen.end - low > room) {
          const std::int64_t kept = std::max<std::int64_t>(0, high - seen.begin);
          std::memmove(strip, strip + (high - kept - low) * row,
                       static_cast<std::size_t>(kept * row) * sizeof(T));
          low = seen.begin, high = low + kept;
        }
        for (; high < seen.end; ++high) {
          T* out = strip + (high - low) * row;
          b.into(out, high, out);
        }
        first = strip, from = low;
      }
      const std::int64_t s = i / group_rows * channels, at = i * pooled_row;
      std::uint8_t* taps = tap.data<std::uint8_t>();
      rows.each_run(i, [&](const PoolRun& r) {
        pool_leaf<T>().max_fwd(r.window, r.first_tap, first + (r.in - from * row), scale.data() + s,
                               winners + r.out, taps + r.out);
      });
      finish_pooled(a, winners + at, mean.data<float>() + s, scale.data() + s, beta.data<float>() + s,
                    y.data<T>() + at, taps + at, y.dim(2), channels);
    }
  });
}

template <class T>
void conv_tail_pooled_fwd(const ConvTailArgs& a, View winner, View mean, View var, View gamma, View beta,
                          MutView y, MutView tap) {
  const std::int64_t width = y.dim(2), channels = y.dim(3), row = width * channels,
                     rows = y.dim(0) * y.dim(1), group_rows = std::max<std::int64_t>(1, rows / mean.dim(0));
  const std::vector<float> scale = normal_scale(gamma, var, a.eps);
  parallel_for(rows, rows_per_chunk(1 << 16, row), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t s = i / group_rows * channels, at = i * row;
      finish_pooled(a, winner.data<T>() + at, mean.data<float>() + s, scale.data() + s,
                    beta.data<float>() + s, y.data<T>() + at, tap.data<std::uint8_t>() + at, width, channels);
    }
  });
}

template <class T>
void conv_tail_bwd_params(const ConvTailArgs& a, View x, View w, View dy, View positive, View mean, View var,
                          MutView dgamma, MutView dbeta) {
  const FilteredRows<T> b(x, w);
  const std::int64_t width = x.dim(2);
  // As few image rows at a time as make fours of pixels, in which batch norm's own sums go.
  const std::int64_t step = 4 / std::gcd(width, std::int64_t{4});
  sum_gradients(a, x.shape, mean, var, dgamma, dbeta,
                [&](const GroupChunks& z, std::int64_t k, const float* middle, float* sums, float* products) {
                  const std::int64_t last = (z.begin(k) + z.rows(k)) / width;
                  for (std::int64_t i = z.begin(k) / width, end; i < last; i = end) {
                    end = std::min(last, i + step);
                    const T* grads = dy.data<T>() + i * b.row();
                    conv_tail_leaf<T>().grad_sums(b.rows(i, end, grads), grads, bits_at(positive, i * width),
                                                  middle, sums, products, (end - i) * width, z.channels);
                  }
                });
}

// dy reaches the winners alone, so the sums are over them.
template <class T>
void conv_tail_pool_bwd_params(const ConvTailArgs& a, View winner, View dy, View tap, View mean, View var,
                               MutView dgamma, MutView dbeta) {
  sum_gradients(a, winner.shape, mean, var, dgamma, dbeta,
                [&](const GroupChunks& z, std::int64_t k, const float* middle, float* sums, float* products) {
                  const std::int64_t at = z.begin(k) * z.channels;
                  conv_tail_leaf<T>().pooled_grad_sums(winner.data<T>() + at, dy.data<T>() + at,
                                                       tap.data<std::uint8_t>() + at, middle, sums, products,
                                                       z.rows(k), z.channels);
                });
}

template <class T>
void conv_tail_bwd(const ConvTailArgs& a, View x, View b, View w, View dy, View positive, View mean, View var,
                   View gamma, View dgamma, View dbeta, MutView dx, MutView dw, MutView dresidual) {
  bwd(a, dy.shape, x, b, w, OutputGradient<T>(dy, positive), mean, var, gamma, dgamma, dbeta, dx, dw,
      dresidual);
}
template <class T>
void conv_tail_pool_bwd(const ConvTailArgs& a, const Pool2dArgs& pool, View x, View b, View w, View dy,
                        View tap, View mean, View var, View gamma, View dgamma, View dbeta, MutView dx,
                        MutView dw) {
  const Shape& images = dx ? dx.shape : x.shape;
  bwd(a, images, x, b, w, OutputGradient<T>(pool, images, dy, tap), mean, var, gamma, dgamma, dbeta, dx, dw,
      {});
}

REPRISE_CPU_KERNEL(conv_tail_stats);
REPRISE_CPU_KERNEL(conv_tail_fwd);
REPRISE_CPU_KERNEL(conv_tail_bwd_params);
REPRISE_CPU_KERNEL(conv_tail_bwd);
REPRISE_CPU_KERNEL(conv_tail_pool_fwd);
REPRISE_CPU_KERNEL(conv_tail_pooled_fwd);
REPRISE_CPU_KERNEL(conv_tail_pool_bwd_params);
REPRISE_CPU_KERNEL(conv_tail_pool_bwd);

}  // namespace reprise::kernels::cpu
