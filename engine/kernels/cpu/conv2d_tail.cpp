// What stands behind a convolution, computed while the convolution's own pixels are in cache: its batch
// statistics, or all of it in inference; and backward the gradient that the convolution's own starts from,
// which is never in memory. The bits are those of the parts.
#include <algorithm>
#include <atomic>
#include <vector>

#include "engine/core/parallel.h"
#include "engine/kernels/cpu/conv2d.h"
#include "engine/kernels/cpu/conv_tail.h"
#include "engine/kernels/cpu/filtered_rows.h"
#include "engine/kernels/cpu/instantiate.h"
#include "engine/kernels/cpu/leaf/conv_tail.h"
#include "engine/kernels/cpu/leaf/pool.h"
#include "engine/kernels/cpu/pool_rows.h"
#include "engine/kernels/cpu/scratch.h"
#include "engine/kernels/cpu/streams.h"
#include "engine/kernels/cpu/sums.h"
#include "engine/kernels/cpu/winograd.h"
#include "engine/kernels/kernels.h"

namespace reprise::kernels::cpu {

template <class T>
void conv2d_tail_fwd(const Conv2dArgs& a, const ConvTailArgs& tail, View x, View w, View mean, View var,
                     View gamma, View beta, View residual, MutView y) {
  if (y.numel() == 0) return;
  if (a.groups > 1 || mean.dim(0) > 1 || winograd_applies<T>(a, w, y)) {
    conv2d_fwd<T>(a, x, w, y);
    conv_tail_fwd<T>(tail, {y.ptr, y.shape, y.dtype}, {}, mean, var, gamma, beta, residual, y, {});
    return;
  }
  const std::vector<float> scale = normal_scale(gamma, var, tail.eps);
  convolve<T>(a, x, w, y,
              {mean.data<float>(), scale.data(), beta.data<float>(), residual ? residual.data<T>() : nullptr,
               tail.relu});
}

namespace {

// Rows of images, counted through the whole batch.
struct Rows {
  std::int64_t begin, end;
};

// The convolution, and make(k) for each k as soon as its output rows reads[k] are complete, while some are in
// cache: what is read may begin in one unit of the convolution and end in another, and the thread that makes
// the last of its pixels goes on with it. Both ends of reads[k] rise with k.
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

// A chunk's rows, and those that a filter reads for `rows` of its output: as many more on each side as it
// reaches over, within their images.
Rows rows_of(const GroupChunks& z, std::int64_t chunk, std::int64_t width) {
  const std::int64_t first = z.begin(chunk) / width;
  return {first, first + z.rows(chunk) / width};
}
Rows read_by(View filter, Rows rows, std::int64_t height) {
  const std::int64_t reach = filter ? filter.dim(1) / 2 : 0;
  return {std::max(rows.begin - reach, rows.begin / height * height),
          std::min(rows.end + reach, ((rows.end - 1) / height + 1) * height)};
}

}  // namespace

template <class T>
void conv2d_stats_fwd(const Conv2dArgs& a, View x, View w, View filter, MutView y, MutView b, MutView mean,
                      MutView var) {
  const GroupChunks z = GroupChunks::of_images(y.shape, mean.dim(0), sum_chunk);
  const std::int64_t c = z.channels, height = y.dim(1), width = y.dim(2);
  const FilteredRows<T> filtered({y.ptr, y.shape, y.dtype}, filter);
  std::vector<Rows> reads;
  for (std::int64_t k = 0; k < z.total(); ++k) reads.push_back(read_by(filter, rows_of(z, k, width), height));
  float* parts = partial_sums(z.total() * 3 * c);
  convolve_and<T>(a, x, w, y, reads, [&](std::int64_t k) {
    const Rows rows = rows_of(z, k, width);
    typename FilteredRows<T>::Part part(filtered, rows.begin, rows.end);
    for (std::int64_t i = rows.begin; filter && i < rows.end; ++i) {
      T* out = b.data<T>() + i * filtered.row();
      part.into(out, i, i + 1 < rows.end ? out + filtered.row() : out);
    }
    chunk_moments((filter ? b : y).data<T>() + z.begin(k) * c, z.rows(k), c, parts + k * 3 * c);
  });
  join_moments(z, parts, mean, var);
}

// The rows of b for a chunk's sums, and for the pooled rows whose last row of b is among them.
template <class T>
void conv2d_pool_stats_fwd(const Conv2dArgs& a, const Pool2dArgs& pool, View x, View w, View filter,
                           View gamma, MutView y, MutView winner, MutView tap, MutView mean, MutView var) {
  const GroupChunks z = GroupChunks::of_images(y.shape, mean.dim(0), sum_chunk);
  const std::int64_t c = z.channels, height = y.dim(1), width = y.dim(2), row = width * c,
                     pooled_rows = winner.dim(0) * winner.dim(1),
                     group_rows = std::max<std::int64_t>(1, pooled_rows / mean.dim(0));
  const FilteredRows<T> filtered({y.ptr, y.shape, y.dtype}, filter);
  const PoolRows windows = PoolRows::forward(pool, y.shape, winner.shape);
  std::vector<Rows> reads, makes, pooled;  // of y, of b, of the pool
  for (std::int64_t k = 0, i = 0; k < z.total(); ++k) {
    Rows rows = rows_of(z, k, width);
    const std::int64_t first = i;
    for (const std::int64_t last = rows.end; i < pooled_rows && windows.sources(i).end <= last; ++i)
      rows.begin = std::min(rows.begin, windows.sources(i).begin);
    pooled.push_back({first, i});
    makes.push_back(rows);
    reads.push_back(read_by(filter, rows, height));
  }
  float* parts = partial_sums(z.total() * 3 * c);
  convolve_and<T>(a, x, w, y, reads, [&](std::int64_t k) {
    const std::int64_t begin = makes[static_cast<std::size_t>(k)].begin,
                       end = makes[static_cast<std::size_t>(k)].end;
    const T* b = y.data<T>() + begin * row;
    if (filter) {  // where the unit's copy of the input was: it is done with
      T* strip = scratch_of<T>(1, static_cast<std::size_t>((end - begin) * row));
      typename FilteredRows<T>::Part part(filtered, begin, end);
      for (std::int64_t i = begin; i < end; ++i)
        part.into(strip + (i - begin) * row, i, strip + (i - begin) * row);
      b = strip;
    }
    chunk_moments(b + z.begin(k) * c - begin * row, z.rows(k), c, parts + k * 3 * c);
    const Rows of = pooled[static_cast<std::size_t>(k)];
    for (std::int64_t i = of.begin; i < of.end; ++i)
      windows.each_run(i, [&](const PoolRun& r) {
        pool_leaf<T>().max_fwd(r.window, r.first_tap, b + (r.in - begin * row),
                               gamma.data<float>() + i / group_rows * c, winner.data<T>() + r.out,
                               tap.data<std::uint8_t>() + r.out);
      });
  });
  join_moments(z, parts, mean, var);
}

namespace {

template <class T>
void tail_bwd(const Conv2dArgs& conv, const ConvTailArgs& a, View b, View w, View dy, View positive,
              View mean, View var, View gamma, View dgamma, View dbeta, MutView dx, MutView dresidual,
              bool adds) {
  const std::int64_t c = dy.dim(3), group_pixels = dy.numel() / c / mean.dim(0);
  const std::vector<float> scale = normal_scale(gamma, var, a.eps);
  const InputGradient g = input_gradient(dgamma, dbeta, var, group_pixels, a.eps);
  const bool past = streams<T>(dresidual);
  convolve_back<T>(conv, dy, w, dx, adds, [&](std::int64_t first, std::int64_t count, T* out) {
    const ConvTailLeaf<T>& leaf = conv_tail_leaf<T>();
    for (std::int64_t end = first + count; first < end;) {
      const std::int64_t group = first / group_pixels, s = group * c,
                         n = std::min(end, (group + 1) * group_pixels) - first;
      const T* grads = dy.data<T>() + first * c;
      const std::uint8_t* bits = bits_at(positive, first);
      if (dresidual)
        leaf.grad_input_and_masked(b.data<T>() + first * c, grads, bits, mean.data<float>() + s,
                                   g.grad_mean.data() + s, g.slope.data() + s, scale.data() + s, out,
                                   dresidual.data<T>() + first * c, past, n, c);
      else
        leaf.grad_input(b.data<T>() + first * c, grads, bits, mean.data<float>() + s, g.grad_mean.data() + s,
                        g.slope.data() + s, scale.data() + s, out, false, n, c);
      out += n * c, first += n;
    }
  });
}

}  // namespace

template <class T>
void conv2d_tail_bwd(const Conv2dArgs& conv, const ConvTailArgs& a, View b, View w, View dy, View positive,
                     View mean, View var, View gamma, View dgamma, View dbeta, MutView dx,
                     MutView dresidual) {
  tail_bwd<T>(conv, a, b, w, dy, positive, mean, var, gamma, dgamma, dbeta, dx, dresidual, false);
}
template <class T>
void conv2d_tail_bwd_add(const Conv2dArgs& conv, const ConvTailArgs& a, View b, View w, View dy,
                         View positive, View mean, View var, View gamma, View dgamma, View dbeta, MutView dx,
                         MutView dresidual) {
  tail_bwd<T>(conv, a, b, w, dy, positive, mean, var, gamma, dgamma, dbeta, dx, dresidual, true);
}

REPRISE_CPU_KERNEL(conv2d_tail_fwd);
REPRISE_CPU_KERNEL(conv2d_stats_fwd);
REPRISE_CPU_KERNEL(conv2d_pool_stats_fwd);
REPRISE_CPU_KERNEL(conv2d_tail_bwd);
REPRISE_CPU_KERNEL(conv2d_tail_bwd_add);

}  // namespace reprise::kernels::cpu
