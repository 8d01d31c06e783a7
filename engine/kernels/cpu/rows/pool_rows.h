// Pooling row by row, for kernels that do more with a row while it is in cache.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/core/shape.h"
#include "engine/kernels/args.h"
#include "engine/kernels/cpu/rows/windows.h"

namespace reprise::kernels::cpu {

// One run of outputs: where it reads and writes, counted in elements of the whole tensors, and its first tap.
struct PoolRun {
  Window window;
  std::int64_t in, out, first_tap;
};

// Rows of images are counted through the whole batch: row i of (N,H,W,C) is row i % H of image i / H.
class PoolRows {
 public:
  // y (N,OH,OW,C) looks at x (N,H,W,C) through its windows; or dx at dy, at the windows that saw each input.
  static PoolRows forward(const Pool2dArgs& a, const Shape& x, const Shape& y);
  static PoolRows backward(const Pool2dArgs& a, const Shape& dx, const Shape& dy);

  // Calls f(run) for the runs that output row i is made of.
  template <class F>
  void each_run(std::int64_t i, F f) const {
    const AxisTaps& row = rows_[static_cast<std::size_t>(i % out_height_)];
    for (const TapRun& s : columns_) f(run_of(i, row, s));
  }

 private:
  PoolRows(const Pool2dArgs& a, std::vector<AxisTaps> rows, std::vector<TapRun> columns, const Shape& in,
           const Shape& out);
  PoolRun run_of(std::int64_t i, const AxisTaps& row, const TapRun& s) const;

  std::vector<AxisTaps> rows_;
  std::vector<TapRun> columns_;
  std::int64_t in_height_, in_width_, out_height_, out_width_, channels_, taps_wide_;
};

}  // namespace reprise::kernels::cpu
