// Pooling windows, row by row: each row of outputs is cut into runs that see the same taps.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/core/shape.h"
#include "engine/kernels/args.h"
#include "engine/kernels/cpu/rows/windows.h"

namespace reprise::kernels::cpu {

// A run of outputs. `in` and `out` say where it reads and writes, in elements from the tensors'
// beginning; first_tap is the number of its first tap in the pooling window, counted row by row.
struct PoolRun {
  Window window;
  std::int64_t in, out, first_tap;
};

// Rows are counted over the whole batch: row i of (N,H,W,C) is row i % H of image i / H.
class PoolRows {
 public:
  // Return the form that computes y (N,OH,OW,C) from windows of x (N,H,W,C), or dx from
  // dy: each input from the windows that saw it.
  static PoolRows forward(const Pool2dArgs& a, const Shape& x, const Shape& y);
  static PoolRows backward(const Pool2dArgs& a, const Shape& dx, const Shape& dy);

  // Calls f(run) for each run of output row i.
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
