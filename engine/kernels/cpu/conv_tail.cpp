// What stands behind a convolution, fused; the gradients but those of parameters are in conv_tail_bwd.cpp. A
// large output b of the filter is not kept from forward to backward: it is made again, a few image rows at a
// time, and used while it is in cache, for nine multiply-adds cost less than memory. The sums run over the
// same chunks as those of the plain kernels, so fused and plain have the same bits.
#include "engine/kernels/cpu/conv_tail.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "engine/core/parallel.h"
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
    typename FilteredRows<T>::Part part(filtered, first, last);
    for (std::int64_t i = first; i < last; ++i)
      part.into(out + i * row, i, out + std::min(i + 1, last - 1) * row);
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
  const std::int64_t rows = rows_per_chunk(chunk_elements(x.numel(), 4 * row, 1 << 15), row);
  parallel_for(image_rows, rows, [&](std::int64_t begin, std::int64_t end) {
    typename FilteredRows<T>::Part part(b, begin, end);
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t s = i / group_rows * channels;
      conv_tail_leaf<T>().finish(
          part.rows(i, i + 1, y.data<T>() + i * row), channels, mean.data<float>() + s, scale.data() + s,
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
    typename FilteredRows<T>::Part part(b, low, rows.sources(end - 1).end);
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
          part.into(out, high, out);
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
                  const std::int64_t first = z.begin(k) / width, last = first + z.rows(k) / width;
                  typename FilteredRows<T>::Part part(b, first, last);
                  for (std::int64_t i = first, end; i < last; i = end) {
                    end = std::min(last, i + step);
                    const T* grads = dy.data<T>() + i * b.row();
                    conv_tail_leaf<T>().grad_sums(part.rows(i, end, grads), grads,
                                                  bits_at(positive, i * width), middle, sums, products,
                                                  (end - i) * width, z.channels);
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

REPRISE_CPU_KERNEL(conv_tail_stats);
REPRISE_CPU_KERNEL(conv_tail_fwd);
REPRISE_CPU_KERNEL(conv_tail_bwd_params);
REPRISE_CPU_KERNEL(conv_tail_pool_fwd);
REPRISE_CPU_KERNEL(conv_tail_pooled_fwd);
REPRISE_CPU_KERNEL(conv_tail_pool_bwd_params);

}  // namespace reprise::kernels::cpu
