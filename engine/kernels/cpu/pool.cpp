// Pooling: rows of outputs in parallel, each cut into runs that see the same taps
// (rows/pool_rows.h). Backward, each input gathers from the windows that saw it.
#include <algorithm>
#include <vector>

#include "engine/base/parallel.h"
#include "engine/kernels/cpu/base/chunks.h"
#include "engine/kernels/cpu/base/instantiate.h"
#include "engine/kernels/cpu/base/scratch.h"
#include "engine/kernels/cpu/leaf/elementwise.h"
#include "engine/kernels/cpu/leaf/pool.h"
#include "engine/kernels/cpu/leaf/reduce.h"
#include "engine/kernels/cpu/rows/pool_rows.h"
#include "engine/kernels/kernels.h"

namespace reprise::kernels::cpu {
namespace {

// Calls f(run) for each run of all rows of `out` (N,OH,OW,C), on all threads.
template <class F>
void each_run(const PoolRows& rows, const Shape& out, F f) {
  parallel_for(out[0] * out[1], rows_per_chunk(1 << 15, out[2] * out[3]),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t i = begin; i < end; ++i) rows.each_run(i, f);
               });
}

template <class F>
void each_forward_run(const Pool2dArgs& a, const Shape& x, const Shape& y, F f) {
  each_run(PoolRows::forward(a, x, y), y, f);
}
template <class F>
void each_backward_run(const Pool2dArgs& a, const Shape& x, const Shape& y, F f) {
  each_run(PoolRows::backward(a, x, y), x, f);
}

// Returns 1 / the number of values of which an output is the average; 1 for a sum.
float factor(const Pool2dArgs& a, std::int64_t rows, std::int64_t columns) {
  if (!a.divides) return 1;
  const std::int64_t taps = a.count_include_pad ? std::int64_t{a.kernel[0]} * a.kernel[1] : rows * columns;
  return 1.0f / static_cast<float>(taps);
}

}  // namespace

template <class T>
void max_pool2d_fwd(const Pool2dArgs& a, View x, MutView y, MutView tap) {
  each_forward_run(a, x.shape, y.shape, [&](const PoolRun& r) {
    pool_leaf<T>().max_fwd(r.window, r.first_tap, x.data<T>() + r.in, y.data<T>() + r.out,
                           tap.data<std::uint8_t>() + r.out);
  });
}

template <class T>
void max_pool2d_bwd(const Pool2dArgs& a, View dy, View tap, MutView dx) {
  each_backward_run(a, dx.shape, dy.shape, [&](const PoolRun& r) {
    pool_leaf<T>().max_bwd(r.window, r.first_tap, dy.data<T>() + r.in, tap.data<std::uint8_t>() + r.in,
                           dx.data<T>() + r.out);
  });
}

template <class T>
void avg_pool2d_fwd(const Pool2dArgs& a, View x, MutView y) {
  each_forward_run(a, x.shape, y.shape, [&](const PoolRun& r) {
    const float f = factor(a, r.window.rows, r.window.columns);
    pool_leaf<T>().weighted_sum(r.window, x.data<T>() + r.in, &f, false, y.data<T>() + r.out);
  });
}

template <class T>
void avg_pool2d_bwd(const Pool2dArgs& a, View dy, MutView dx) {
  const PoolRows forward = PoolRows::forward(a, dx.shape, dy.shape);
  std::vector<float> factors;
  for (std::int64_t i = 0; i < dy.dim(1); ++i)
    forward.each_run(i, [&](const PoolRun& r) {
      factors.insert(factors.end(), static_cast<std::size_t>(r.window.count),
                     factor(a, r.window.rows, r.window.columns));
    });
  const std::int64_t image = dy.dim(1) * dy.dim(2) * dy.dim(3);
  each_backward_run(a, dx.shape, dy.shape, [&](const PoolRun& r) {
    pool_leaf<T>().weighted_sum(r.window, dy.data<T>() + r.in,
                                factors.data() + r.in % image / r.window.channels, true,
                                dx.data<T>() + r.out);
  });
}

template <class T>
void global_avg_pool_fwd(View x, MutView y) {
  const std::int64_t pixels = x.dim(1) * x.dim(2), channels = x.dim(3);
  parallel_for(x.dim(0), rows_per_chunk(1 << 15, pixels * channels), [&](std::int64_t b, std::int64_t e) {
    for (std::int64_t n = b; n < e; ++n) {
      float* out = y.data<float>() + n * channels;
      reduce_leaf<T>().sum_rows(x.data<T>() + n * pixels * channels, out, pixels, channels);
      elementwise_leaf<float>().binary_scalar(BinaryOp::div, out, static_cast<float>(pixels), out, channels);
    }
  });
}

template <class T>
void global_avg_pool_bwd(View dy, MutView dx) {
  const std::int64_t pixels = dx.dim(1) * dx.dim(2), channels = dx.dim(3);
  parallel_for(dx.dim(0), rows_per_chunk(1 << 15, pixels * channels), [&](std::int64_t b, std::int64_t e) {
    for (std::int64_t n = b; n < e && pixels > 0; ++n) {
      float* each = scratch(Scratch::rows, static_cast<std::size_t>(channels));
      elementwise_leaf<float>().binary_scalar(BinaryOp::div, dy.data<float>() + n * channels,
                                              static_cast<float>(pixels), each, channels);
      T* first = dx.data<T>() + n * pixels * channels;
      elementwise_leaf<T>().narrow(each, first, channels);
      for (std::int64_t k = 1; k < pixels; ++k) std::copy(first, first + channels, first + k * channels);
    }
  });
}

REPRISE_CPU_KERNEL(max_pool2d_fwd);
REPRISE_CPU_KERNEL(max_pool2d_bwd);
REPRISE_CPU_KERNEL(avg_pool2d_fwd);
REPRISE_CPU_KERNEL(avg_pool2d_bwd);
REPRISE_CPU_KERNEL(global_avg_pool_fwd);
REPRISE_CPU_KERNEL(global_avg_pool_bwd);

}  // namespace reprise::kernels::cpu
