// Depthwise convolution: rows of outputs in parallel, each cut into runs that see the same taps.
#include <algorithm>
#include <vector>

#include "engine/core/parallel.h"
#include "engine/kernels/cpu/chunks.h"
#include "engine/kernels/cpu/leaf/depthwise.h"
#include "engine/kernels/cpu/windows.h"
#include "engine/kernels/kernels.h"

namespace reprise::kernels::cpu {
namespace {

Axis axis_of(const Conv2dArgs& a, int d, const Shape& x, const Shape& w, const Shape& y) {
  const auto k = static_cast<std::size_t>(d);
  return {x[1 + d], y[1 + d], w[1 + d], a.stride[k], a.padding[k], a.dilation[k]};
}

Window window_of(const AxisTaps& row, const Segment& run, std::int64_t in_width, std::int64_t kernel_width,
                 std::int64_t channels) {
  return {run.count,
          run.step * channels,
          run.source_step * channels,
          row.count,
          run.taps.count,
          row.source_step * in_width * channels,
          run.taps.source_step * channels,
          row.step * kernel_width * channels,
          run.taps.step * channels,
          channels};
}

// out gathers from `in` through the filter, row by row; which taps meet is all that forward and dgrad differ
// in.
void gather(const std::vector<AxisTaps>& rows, const std::vector<Segment>& columns, View in, View w,
            MutView out) {
  const std::int64_t height = in.dim(1), width = in.dim(2), channels = in.dim(3), out_height = out.dim(1),
                     out_width = out.dim(2);
  const std::int64_t group_images = std::max<std::int64_t>(1, in.dim(0) / w.dim(0)),
                     filter = w.dim(1) * w.dim(2) * channels;
  const DepthwiseLeaf& leaf = depthwise_leaf();
  parallel_for(out.dim(0) * out_height, rows_per_chunk(1 << 16, out_width * channels),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t i = begin; i < end; ++i) {
                   const std::int64_t n = i / out_height;
                   const AxisTaps& row = rows[static_cast<std::size_t>(i % out_height)];
                   const float* image = in.data<float>() + (n * height + row.source) * width * channels;
                   const float* taps =
                       w.data<float>() + n / group_images * filter + row.first * w.dim(2) * channels;
                   for (const Segment& run : columns)
                     leaf.gather(window_of(row, run, width, w.dim(2), channels),
                                 image + run.taps.source * channels, taps + run.taps.first * channels,
                                 out.data<float>() + (i * out_width + run.begin) * channels);
                 }
               });
}

}  // namespace

template <>
void depthwise_fwd<float>(const Conv2dArgs& a, View x, View w, MutView y) {
  gather(forward_taps(axis_of(a, 0, x.shape, w.shape, y.shape)),
         segments(forward_taps(axis_of(a, 1, x.shape, w.shape, y.shape)), 1), x, w, y);
}

template <>
void depthwise_dgrad<float>(const Conv2dArgs& a, View dy, View w, MutView dx) {
  gather(backward_taps(axis_of(a, 0, dx.shape, w.shape, dy.shape)),
         segments(backward_taps(axis_of(a, 1, dx.shape, w.shape, dy.shape)), a.stride[1]), dy, w, dx);
}

// Each chunk of output rows has its own partial filter in f32, of at most 2048 pixels or one row; these are
// added in order, in double.
template <>
void depthwise_wgrad<float>(const Conv2dArgs& a, View x, View dy, MutView dw) {
  const std::int64_t height = x.dim(1), width = x.dim(2), channels = x.dim(3), out_height = dy.dim(1),
                     out_width = dy.dim(2), groups = dw.dim(0), filter = dw.dim(1) * dw.dim(2) * channels;
  const auto rows = forward_taps(axis_of(a, 0, x.shape, dw.shape, dy.shape));
  const auto columns = segments(forward_taps(axis_of(a, 1, x.shape, dw.shape, dy.shape)), 1);
  const std::int64_t group_rows = x.dim(0) / groups * out_height,
                     chunk = std::min(rows_per_chunk(1 << 17, out_width * channels),
                                      rows_per_chunk(2048, out_width)),
                     chunks = (group_rows + chunk - 1) / chunk;  // of each group
  std::vector<float> partial(static_cast<std::size_t>(groups * chunks * filter));
  const DepthwiseLeaf& leaf = depthwise_leaf();
  parallel_for(groups * chunks, 1, [&](std::int64_t begin, std::int64_t) {
    const std::int64_t group = begin / chunks, first = begin % chunks * chunk;
    float* sums = partial.data() + begin * filter;
    for (std::int64_t k = first; k < std::min(group_rows, first + chunk); ++k) {
      const std::int64_t i = group * group_rows + k, n = i / out_height;
      const AxisTaps& row = rows[static_cast<std::size_t>(i % out_height)];
      const float* image = x.data<float>() + (n * height + row.source) * width * channels;
      for (const Segment& run : columns)
        leaf.correlate(window_of(row, run, width, dw.dim(2), channels), image + run.taps.source * channels,
                       dy.data<float>() + (i * out_width + run.begin) * channels,
                       sums + (row.first * dw.dim(2) + run.taps.first) * channels);
    }
  });
  parallel_for(groups * filter, 1024, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const float* p = partial.data() + i / filter * chunks * filter + i % filter;
      double sum = 0;
      for (std::int64_t k = 0; k < chunks; ++k) sum += static_cast<double>(p[k * filter]);
      dw.data<float>()[i] = static_cast<float>(sum);
    }
  });
}

}  // namespace reprise::kernels::cpu
