// Depthwise convolution: rows of outputs in parallel (rows/depthwise_rows.h).
#include <algorithm>

#include "engine/base/parallel.h"
#include "engine/kernels/cpu/base/chunks.h"
#include "engine/kernels/cpu/base/instantiate.h"
#include "engine/kernels/cpu/base/sums.h"
#include "engine/kernels/cpu/rows/depthwise_rows.h"
#include "engine/kernels/kernels.h"

namespace reprise::kernels::cpu {
namespace {

template <class T>
void gather(const DepthwiseRows& rows, View in, View w, MutView out) {
  const std::int64_t row = out.dim(2) * out.dim(3), last = out.dim(0) * out.dim(1) - 1;
  parallel_for(out.dim(0) * out.dim(1), rows_per_chunk(chunk_elements(out.numel(), 4 * row, 1 << 16), row),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t i = begin; i < end; ++i)
                   rows.gather(in.data<T>(), 0, w.data<float>(), i, out.data<T>() + i * row,
                               out.data<T>() + std::min(i + 1, last) * row);
               });
}

}  // namespace

template <class T>
void depthwise_fwd(const Conv2dArgs& a, View x, View w, MutView y) {
  gather<T>(DepthwiseRows::forward(a, x.shape, w.shape, y.shape), x, w, y);
}

template <class T>
void depthwise_dgrad(const Conv2dArgs& a, View dy, View w, MutView dx) {
  gather<T>(DepthwiseRows::backward(a, dx.shape, w.shape, dy.shape), dy, w, dx);
}

// Each chunk of output rows has its own partial filter in f32; these are added in order, in double.
template <class T>
void depthwise_wgrad(const Conv2dArgs& a, View x, View dy, MutView dw) {
  const std::int64_t width = dy.dim(2), channels = dy.dim(3), filter = dw.numel();
  const DepthwiseRows rows = DepthwiseRows::forward(a, x.shape, dw.shape, dy.shape);
  const Chunks z = Chunks::of_images(dy.shape, filter_chunk);
  float* partial = partial_sums(z.count * filter);
  parallel_for(z.count, 1, [&](std::int64_t k, std::int64_t) {
    float* taps = partial + k * filter;
    std::fill_n(taps, filter, 0.0F);
    const std::int64_t first = z.begin(k) / width;
    for (std::int64_t i = first; i < first + z.rows(k) / width; ++i)
      rows.correlate(x.data<T>(), 0, dy.data<T>() + i * width * channels, i, taps);
  });
  join_sums(z, partial, filter, dw.data<float>());
}

REPRISE_CPU_KERNEL(depthwise_fwd);
REPRISE_CPU_KERNEL(depthwise_dgrad);
REPRISE_CPU_KERNEL(depthwise_wgrad);

}  // namespace reprise::kernels::cpu
