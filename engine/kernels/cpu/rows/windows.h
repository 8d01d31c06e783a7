// Which taps of a filter or pooling window meet the image, along one axis: worked out once per call, so that
// the loops over pixels have no border cases.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/kernels/cpu/leaf/window.h"

namespace reprise::kernels::cpu {

// The taps that one output uses: first, first + step, ..., `count` of them. The k-th reads place
// source + k * source_step of the input.
struct AxisTaps {
  std::int64_t first = 0, count = 0, step = 1, source = 0, source_step = 1;
};

// Outputs begin, begin + step, ... (`count` of them) that use the same taps; their sources lie source_step
// apart.
struct TapRun {
  std::int64_t begin, count, step;
  AxisTaps taps;  // of the first output
  std::int64_t source_step;
};

struct Axis {
  std::int64_t in, out, kernel, stride, padding, dilation;
};

// For each of the `out` outputs: source = output * stride - padding + tap * dilation, where it lies inside.
std::vector<AxisTaps> forward_taps(const Axis& a);
// For each of the `in` inputs: the outputs that used it, output = (input + padding - tap * dilation) /
// stride.
std::vector<AxisTaps> backward_taps(const Axis& a);
// Outputs joined to runs; outputs `period` apart can be in one run (the stride, for backward taps).
std::vector<TapRun> tap_runs(const std::vector<AxisTaps>& taps, std::int64_t period);

// The run's outputs in a row that sees `row`, of images and taps with so many columns; taps are `tap`
// elements apart: as many as there are channels, or 1 where they are only numbered.
Window window_of(const AxisTaps& row, const TapRun& run, std::int64_t in_width, std::int64_t taps_wide,
                 std::int64_t channels, std::int64_t tap);

}  // namespace reprise::kernels::cpu
