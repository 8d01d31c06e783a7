#include "engine/kernels/cpu/rows/pool_rows.h"

#include <utility>

namespace reprise::kernels::cpu {
namespace {

Axis axis_of(const Pool2dArgs& a, int d, const Shape& x, const Shape& y) {
  const auto k = static_cast<std::size_t>(d);
  return {x[1 + d], y[1 + d], a.kernel[k], a.stride[k], a.padding[k], 1};
}

}  // namespace

PoolRows::PoolRows(const Pool2dArgs& a, std::vector<AxisTaps> rows, std::vector<TapRun> columns,
                   const Shape& in, const Shape& out)
    : rows_(std::move(rows)),
      columns_(std::move(columns)),
      in_height_(in[1]),
      in_width_(in[2]),
      out_height_(out[1]),
      out_width_(out[2]),
      channels_(in[3]),
      taps_wide_(a.kernel[1]) {}

PoolRows PoolRows::forward(const Pool2dArgs& a, const Shape& x, const Shape& y) {
  return {a, forward_taps(axis_of(a, 0, x, y)), tap_runs(forward_taps(axis_of(a, 1, x, y)), 1), x, y};
}

PoolRows PoolRows::backward(const Pool2dArgs& a, const Shape& dx, const Shape& dy) {
  return {a, backward_taps(axis_of(a, 0, dx, dy)),
          tap_runs(backward_taps(axis_of(a, 1, dx, dy)), a.stride[1]), dy, dx};
}

PoolRun PoolRows::run_of(std::int64_t i, const AxisTaps& row, const TapRun& s) const {
  const std::int64_t image_row = i / out_height_ * in_height_ + row.source;
  return {window_of(row, s, in_width_, taps_wide_, channels_, 1),
          (image_row * in_width_ + s.taps.source) * channels_, (i * out_width_ + s.begin) * channels_,
          row.first * taps_wide_ + s.taps.first};
}

}  // namespace reprise::kernels::cpu
