#include "engine/kernels/cpu/rows/depthwise_rows.h"

#include <algorithm>
#include <utility>

#include "engine/kernels/cpu/leaf/depthwise.h"

namespace reprise::kernels::cpu {
namespace {

Axis axis_of(const Conv2dArgs& a, int d, const Shape& x, const Shape& w, const Shape& y) {
  const auto k = static_cast<std::size_t>(d);
  return {x[1 + d], y[1 + d], w[d], a.stride[k], a.padding[k], a.dilation[k]};
}

// Returns whether a row has three columns of taps, stride 1 and a border of one: the first and the
// last output see two columns, the others three. Backward, taps meet columns from right to left.
bool is_bordered_row(const std::vector<TapRun>& runs) {
  if (runs.size() != 3) return false;
  const std::int64_t forwards = runs[1].taps.source_step;
  const auto sees = [&](const TapRun& run, std::int64_t first, std::int64_t count) {
    return run.taps.first == first && run.taps.count == count && run.taps.step == 1 &&
           run.taps.source_step == forwards;
  };
  const bool back = forwards == -1;
  return (back || forwards == 1) && sees(runs[0], back ? 0 : 1, 2) && sees(runs[1], 0, 3) &&
         sees(runs[2], back ? 1 : 0, 2) && runs[0].count == 1 && runs[2].count == 1 && runs[1].step == 1 &&
         runs[1].source_step == 1;
}

}  // namespace

DepthwiseRows::DepthwiseRows(std::vector<AxisTaps> rows, std::vector<TapRun> columns, const Shape& in,
                             const Shape& w, const Shape& out)
    : rows_(std::move(rows)),
      columns_(std::move(columns)),
      bordered_(is_bordered_row(columns_)),
      in_height_(in[1]),
      in_width_(in[2]),
      out_height_(out[1]),
      channels_(in[3]),
      in_pixel_(in[3]),
      out_pixel_(in[3]),
      filter_width_(w[1]) {}

DepthwiseRows DepthwiseRows::forward(const Conv2dArgs& a, const Shape& x, const Shape& w, const Shape& y) {
  return {forward_taps(axis_of(a, 0, x, w, y)), tap_runs(forward_taps(axis_of(a, 1, x, w, y)), 1), x, w, y};
}

DepthwiseRows DepthwiseRows::backward(const Conv2dArgs& a, const Shape& dx, const Shape& w, const Shape& dy) {
  return {backward_taps(axis_of(a, 0, dx, w, dy)),
          tap_runs(backward_taps(axis_of(a, 1, dx, w, dy)), a.stride[1]), dy, w, dx};
}

DepthwiseRows DepthwiseRows::within(std::int64_t channels, std::int64_t out_pixel) && {
  channels_ = channels;
  out_pixel_ = out_pixel;
  return std::move(*this);
}

Window DepthwiseRows::window(const AxisTaps& row, const TapRun& run) const {
  Window z = window_of(row, run, in_width_, filter_width_, in_pixel_, in_pixel_);
  z.out_step = run.step * out_pixel_;
  z.channels = channels_;
  return z;
}

Window DepthwiseRows::whole_row(const AxisTaps& row) const {
  Window z = window(row, columns_[1]);
  z.count += 2;
  return z;
}

template <class T>
void DepthwiseRows::gather(const T* in, std::int64_t first, const float* w, std::int64_t i, T* out,
                           const T* next) const {
  const std::int64_t n = i / out_height_;
  const AxisTaps& row = rows_[static_cast<std::size_t>(i % out_height_)];
  const T* source = in + (n * in_height_ + row.source - first) * in_width_ * in_pixel_;
  const float* taps = w + row.first * filter_width_ * in_pixel_;
  if (bordered_ && (row.count == 2 || row.count == 3)) {
    depthwise_leaf<T>().gather_row(whole_row(row), source, taps, out, next);
    return;
  }
  for (const TapRun& run : columns_)
    depthwise_leaf<T>().gather(window(row, run), source + run.taps.source * in_pixel_,
                               taps + run.taps.first * in_pixel_, out + run.begin * out_pixel_,
                               next + run.begin * out_pixel_);
}

template <class T>
void DepthwiseRows::correlate(const T* in, std::int64_t first, const T* grad, std::int64_t i,
                              float* taps) const {
  const AxisTaps& row = rows_[static_cast<std::size_t>(i % out_height_)];
  const T* source = in + (i / out_height_ * in_height_ + row.source - first) * in_width_ * in_pixel_;
  if (bordered_ && (row.count == 2 || row.count == 3)) {
    depthwise_leaf<T>().correlate_row(whole_row(row), source, grad,
                                      taps + row.first * filter_width_ * in_pixel_);
    return;
  }
  for (const TapRun& run : columns_)
    depthwise_leaf<T>().correlate(window(row, run), source + run.taps.source * in_pixel_,
                                  grad + run.begin * out_pixel_,
                                  taps + (row.first * filter_width_ + run.taps.first) * in_pixel_);
}

#define REPRISE_ROWS_OF(T)                                                                                 \
  template void DepthwiseRows::gather<T>(const T*, std::int64_t, const float*, std::int64_t, T*, const T*) \
      const;                                                                                               \
  template void DepthwiseRows::correlate<T>(const T*, std::int64_t, const T*, std::int64_t, float*) const
REPRISE_ROWS_OF(float);
REPRISE_ROWS_OF(BFloat16);

}  // namespace reprise::kernels::cpu
