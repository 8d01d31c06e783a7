// A depthwise convolution, row by row, for kernels that use a row while it is in cache.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/core/shape.h"
#include "engine/kernels/args.h"
#include "engine/kernels/cpu/rows/windows.h"

namespace reprise::kernels::cpu {

// Rows are counted over the whole batch: row i of (N,H,W,C) is row i % H of image i / H.
class DepthwiseRows {
 public:
  // Return the form that computes y from x, or dx from dy, with the filter w (R,S,C).
  // The two differ only in which taps meet which inputs.
  static DepthwiseRows forward(const Conv2dArgs& a, const Shape& x, const Shape& w, const Shape& y);
  static DepthwiseRows backward(const Conv2dArgs& a, const Shape& dx, const Shape& w, const Shape& dy);

  // Returns this form for a padded pitch: the last dimension of the shapes that forward or backward
  // got. Computes only the first `channels` values of a pixel; output pixels are `out_pixel`
  // elements apart.
  DepthwiseRows within(std::int64_t channels, std::int64_t out_pixel) &&;

  // Computes output row i into `out`. `in` holds input rows from row `first` on, among them
  // all that row i's taps meet. `next` is a row of the same length that the caller reads or
  // writes afterwards; it is prefetched, because the arithmetic here leaves memory idle.
  template <class T>
  void gather(const T* in, std::int64_t first, const float* w, std::int64_t i, T* out, const T* next) const;
  // Adds to `taps` the filter's gradient from output row i; `grad` is that row's gradient. Only for
  // the form that forward() returns.
  template <class T>
  void correlate(const T* in, std::int64_t first, const T* grad, std::int64_t i, float* taps) const;

 private:
  DepthwiseRows(std::vector<AxisTaps> rows, std::vector<TapRun> columns, const Shape& in, const Shape& w,
                const Shape& out);
  Window window(const AxisTaps& row, const TapRun& run) const;
  Window whole_row(const AxisTaps& row) const;  // only if bordered_

  std::vector<AxisTaps> rows_;
  std::vector<TapRun> columns_;
  bool bordered_;  // is_bordered_row(columns_)
  std::int64_t in_height_, in_width_, out_height_, channels_;
  std::int64_t in_pixel_, out_pixel_;  // elements from pixel to pixel; taps have the inputs' pitch
  std::int64_t filter_width_;
};

}  // namespace reprise::kernels::cpu
