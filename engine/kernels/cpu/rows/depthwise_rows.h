// A depthwise convolution row by row, for kernels that do more with a row while it is in cache.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/core/shape.h"
#include "engine/kernels/args.h"
#include "engine/kernels/cpu/rows/windows.h"

namespace reprise::kernels::cpu {

// Rows of images are counted through the whole batch: row i of (N,H,W,C) is row i % H of image i / H.
class DepthwiseRows {
 public:
  // y gathers from x, or dx from dy; w (R,S,C). Which taps meet is all that the two differ in.
  static DepthwiseRows forward(const Conv2dArgs& a, const Shape& x, const Shape& w, const Shape& y);
  static DepthwiseRows backward(const Conv2dArgs& a, const Shape& dx, const Shape& w, const Shape& dy);

  // For images whose pixels have room for more: the first `channels` alone, and in the outputs' memory pixels
  // lie `out_pixel` elements apart.
  DepthwiseRows within(std::int64_t channels, std::int64_t out_pixel) &&;

  // Output row i into `out`. `in` holds input rows from `first` on, of which this one's taps must be there.
  // `next`: another row of that length, which the caller will read or write afterwards; it comes into cache
  // meanwhile, for the arithmetic here leaves the memory idle.
  template <class T>
  void gather(const T* in, std::int64_t first, const float* w, std::int64_t i, T* out, const T* next) const;
  // taps += what output row i with the gradient `grad` gives the filter. Forward only.
  template <class T>
  void correlate(const T* in, std::int64_t first, const T* grad, std::int64_t i, float* taps) const;

 private:
  DepthwiseRows(std::vector<AxisTaps> rows, std::vector<TapRun> columns, const Shape& in, const Shape& w,
                const Shape& out);
  Window window(const AxisTaps& row, const TapRun& run) const;
  Window whole_row(const AxisTaps& row) const;  // where bordered_

  std::vector<AxisTaps> rows_;
  std::vector<TapRun> columns_;
  bool bordered_;
  std::int64_t in_height_, in_width_, out_height_, channels_;
  std::int64_t in_pixel_, out_pixel_;  // from one pixel to the next; taps lie like inputs
  std::int64_t filter_width_;
};

}  // namespace reprise::kernels::cpu
