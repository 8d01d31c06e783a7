// A convolution and its epilogue, fused; kernels/block.h names the operands. The statistics,
// the inference epilogue and the gradient of the convolution's output are computed while its
// pixels are in cache. A large output b of the filter is not kept from forward to backward, but
// computed again, a few image rows at a time: nine multiply-adds cost less than memory. Sums
// run over the same chunks as in the plain kernels, so fused and plain give the same bits.
#include <algorithm>
#include <atomic>
#include <numeric>
#include <optional>
#include <vector>

#include "engine/base/parallel.h"
#include "engine/kernels/cpu/base/instantiate.h"
#include "engine/kernels/cpu/base/non_temporal.h"
#include "engine/kernels/cpu/base/sums.h"
#include "engine/kernels/cpu/conv/winograd.h"
#include "engine/kernels/cpu/conv2d.h"
#include "engine/kernels/cpu/leaf/conv_block.h"
#include "engine/kernels/cpu/rows/filter_gradient.h"
#include "engine/kernels/cpu/rows/filtered_rows.h"
#include "engine/kernels/kernels.h"

namespace reprise::kernels::cpu {
namespace {

// Image rows [begin, end), counted over the whole batch.
struct Rows {
  std::int64_t begin, end;
};

Rows rows_of(const Chunks& z, std::int64_t chunk, std::int64_t width) {
  const std::int64_t first = z.begin(chunk) / width;
  return {first, first + z.rows(chunk) / width};
}
// Returns the input rows, within their images, that a filter reads for its output rows `rows`.
Rows read_by(View filter, Rows rows, std::int64_t height) {
  const std::int64_t reach = filter ? filter.dim(0) / 2 : 0;
  return {std::max(rows.begin - reach, rows.begin / height * height),
          std::min(rows.end + reach, ((rows.end - 1) / height + 1) * height)};
}

// Computes y = conv2d(x, w), and calls make(k) as soon as rows reads[k] of y are complete,
// while some are in cache; with groups or Winograd's form, after the convolution. The thread
// that completes the last pixel of the rows calls make. Both ends of reads[k] rise with k.
template <class T, class F>
void convolve_and(const Conv2dArgs& a, View x, View w, MutView y, const std::vector<Rows>& reads, F make) {
  const auto count = std::ssize(reads);
  if (a.groups > 1 || winograd_applies<T>(a, w, y)) {
    conv2d_fwd<T>(a, x, w, y);
    parallel_for(count, 1, [&](std::int64_t k, std::int64_t) { make(k); });
    return;
  }
  const std::int64_t width = y.dim(2);
  std::vector<std::atomic<std::int64_t>> missing(reads.size());
  for (std::size_t k = 0; k < reads.size(); ++k) missing[k] = (reads[k].end - reads[k].begin) * width;
  convolve<T>(a, x, w, y, {}, [&](std::int64_t first, std::int64_t pixels) {
    const std::int64_t last = first + pixels;
    auto k = std::partition_point(reads.begin(), reads.end(),
                                  [&](const Rows& r) { return r.end * width <= first; }) -
             reads.begin();
    for (; k < count && reads[static_cast<std::size_t>(k)].begin * width < last; ++k) {
      const Rows& r = reads[static_cast<std::size_t>(k)];
      const std::int64_t made = std::min(last, r.end * width) - std::max(first, r.begin * width);
      if (missing[static_cast<std::size_t>(k)].fetch_sub(made, std::memory_order_acq_rel) == made) make(k);
    }
  });
}

// Returns whether the convolution runs in its direct form without groups, which can apply Finish.
template <class T>
bool is_direct(const Conv2dArgs& a, View w, MutView out) {
  return a.groups == 1 && !winograd_applies<T>(a, w, out);
}

}  // namespace

template <class T>
void conv_block_stats(const ConvBlockArgs& a, const BlockStatsIn& in, const BlockStatsOut& out) {
  const View made = in.w ? out.made : in.x;
  const Chunks z = Chunks::of_images(made.shape, sum_chunk);
  const std::int64_t c = z.channels, height = made.dim(1), width = made.dim(2);
  const FilteredRows<T> filtered(made, in.filter);
  float* parts = partial_sums(z.count * 3 * c);
  const auto take_moments = [&](std::int64_t k) {
    const Rows rows = rows_of(z, k, width);
    typename FilteredRows<T>::Part part(filtered, rows.begin, rows.end);
    for (std::int64_t i = rows.begin; in.filter && i < rows.end; ++i) {
      T* b = out.b.data<T>() + i * filtered.row();
      part.into(b, i, i + 1 < rows.end ? b + filtered.row() : b);
    }
    chunk_moments((in.filter ? View(out.b) : made).template data<T>() + z.begin(k) * c, z.rows(k), c,
                  parts + k * 3 * c);
  };
  if (in.w) {
    std::vector<Rows> reads;
    for (std::int64_t k = 0; k < z.count; ++k)
      reads.push_back(read_by(in.filter, rows_of(z, k, width), height));
    convolve_and<T>(a.conv, in.x, in.w, out.made, reads, take_moments);
  } else {
    parallel_for(z.count, 1, [&](std::int64_t k, std::int64_t) { take_moments(k); });
  }
  join_moments(z, parts, out.mean, out.var);
}

template <class T>
void conv_block_fwd(const ConvBlockArgs& a, const BlockFwdIn& in, const BlockFwdOut& out) {
  const MutView y = out.y;
  if (y.numel() == 0) return;
  const std::vector<float> scale = normal_scale(in.gamma, in.var, a.eps);
  const float *mean = in.mean.data<float>(), *beta = in.beta.data<float>();
  const T* residual = in.residual.data<T>();
  if (in.w && !in.filter && is_direct<T>(a.conv, in.w, y)) {
    convolve<T>(a.conv, in.x, in.w, y, {mean, scale.data(), beta, residual, a.activation});
    return;
  }
  const MutView made = in.filter ? out.made : y;
  if (in.w) conv2d_fwd<T>(a.conv, in.x, in.w, made);
  const View x = in.w ? View(made) : in.x;
  const FilteredRows<T> b(x, in.filter);
  const std::int64_t width = y.dim(2), channels = y.dim(3), row = b.row(), image_rows = y.dim(0) * y.dim(1);
  const bool non_temporal = x.data<T>() != y.data<T>() && is_non_temporal<T>(y);
  const std::int64_t rows = rows_per_chunk(chunk_elements(y.numel(), 4 * row, 1 << 15), row);
  parallel_for(image_rows, rows, [&](std::int64_t begin, std::int64_t end) {
    typename FilteredRows<T>::Part part(b, begin, end);
    for (std::int64_t i = begin; i < end; ++i) {
      T* to = y.data<T>() + i * row;
      conv_block_leaf<T>().finish(
          part.rows(i, i + 1, to), channels, mean, scale.data(), beta,
          residual != nullptr ? residual + i * row : nullptr, a.activation, to,
          out.open ? out.open.data<std::uint8_t>() + i * width * out.open.dim(3) : nullptr, non_temporal,
          width, channels, channels);
    }
    fence_non_temporal();
  });
}

template <class T>
void conv_block_bwd_params(const ConvBlockArgs& a, const BlockParamsIn& in, const BlockParamsOut& out) {
  const FilteredRows<T> b(in.x, in.filter);
  const Chunks z = Chunks::of_images(in.x.shape, sum_chunk);
  const std::int64_t width = in.x.dim(2), c = z.channels;
  // The fewest rows with a multiple of four pixels, because batch norm sums four at a time.
  const std::int64_t step = 4 / std::gcd(width, std::int64_t{4});
  float* parts = partial_sums(z.count * 2 * c);
  parallel_for(z.count, 1, [&](std::int64_t k, std::int64_t) {
    float* sums = parts + k * 2 * c;
    std::fill_n(sums, 2 * c, 0.0F);
    const Rows rows = rows_of(z, k, width);
    typename FilteredRows<T>::Part part(b, rows.begin, rows.end);
    for (std::int64_t i = rows.begin, end; i < rows.end; i = end) {
      end = std::min(rows.end, i + step);
      const T* grads = in.dy.data<T>() + i * b.row();
      conv_block_leaf<T>().grad_sums(part.rows(i, end, grads), grads, bits_at(in.open, i * width),
                                     in.mean.data<float>(), sums, sums + c, (end - i) * width, c);
    }
  });
  join_gradient_sums(z, parts, a.eps, in.var, out.dgamma, out.dbeta);
}

template <class T>
void conv_block_bwd(const ConvBlockArgs& a, bool accumulate, const BlockGradIn& in, const BlockGradOut& out) {
  const NormGradient<T> norm(a.eps, in);
  const std::int64_t width = in.dy.dim(2), c = in.dy.dim(3);
  const View source = in.b ? in.b : in.x;  // absent if the statistics are constants
  const auto b_at = [&](std::int64_t pixel) { return source ? source.data<T>() + pixel * c : nullptr; };
  const bool residual_non_temporal = is_non_temporal<T>(out.dresidual);
  if (in.w) {  // the convolution's tiles read db right after it is computed
    convolve_back<T>(a.conv, accumulate, in.dy, in.w, out.dx,
                     [&](std::int64_t first, std::int64_t count, T* db) {
                       if (out.dresidual)
                         norm.with_residual(b_at(first), first, count, db,
                                            out.dresidual.data<T>() + first * c, residual_non_temporal);
                       else
                         norm(b_at(first), first, count, db, false);
                     });
    return;
  }
  const Chunks z = Chunks::of_images(in.dy.shape, filter_chunk);
  const bool non_temporal = is_non_temporal<T>(out.dx);
  std::optional<FilterGradient<T>> through;
  if (in.filter && (out.dx || out.dfilter)) through.emplace(in, norm, out.dx, static_cast<bool>(out.dfilter));
  const std::int64_t filter = out.dfilter.numel();
  float* partial = out.dfilter ? partial_sums(z.count * filter) : nullptr;
  parallel_for(z.count, 1, [&](std::int64_t k, std::int64_t) {
    const std::int64_t pixel = z.begin(k), count = z.rows(k);
    if (out.dresidual)
      norm.residual(pixel, count, out.dresidual.data<T>() + pixel * c, residual_non_temporal);
    if (through)
      through->rows(pixel / width, (pixel + count) / width,
                    partial != nullptr ? partial + k * filter : nullptr);
    else if (!in.filter && out.dx)
      norm(b_at(pixel), pixel, count, out.dx.data<T>() + pixel * c, non_temporal);
    fence_non_temporal();
  });
  if (out.dfilter) join_sums(z, partial, filter, out.dfilter.data<float>());
}

REPRISE_CPU_KERNEL(conv_block_stats);
REPRISE_CPU_KERNEL(conv_block_fwd);
REPRISE_CPU_KERNEL(conv_block_bwd_params);
REPRISE_CPU_KERNEL(conv_block_bwd);

}  // namespace reprise::kernels::cpu
