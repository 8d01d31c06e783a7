// Which taps of a filter or pooling window meet the image, along one axis. This is
// computed once per call, so the loops over pixels have no border cases.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/kernels/cpu/leaf/window.h"

namespace reprise::kernels::cpu {

// The `count` taps that one output uses: first, first + step, ... The k-th of them
// reads the input at source + k * source_step.
struct AxisTaps {
  std::int64_t first = 0, count = 0, step = 1, source = 0, source_step = 1;
};

// `count` outputs, begin, begin + step, ..., that use the same taps. From one output to
// the next the source moves by source_step.
struct TapRun {
  std::int64_t begin, count, step;
  AxisTaps taps;  // of the first output
  std::int64_t source_step;
};

// A window's numbers along one axis; `in` and `out` are sizes in pixels.
struct Axis {
  std::int64_t in, out, kernel, stride, padding, dilation;
};

// Returns the taps of each of the `out` outputs that read inside the input:
//   source = output * stride - padding + tap * dilation
std::vector<AxisTaps> forward_taps(const Axis& a);
// Returns the taps of each of the `in` inputs, whose sources are the outputs that used it:
//   source = (input + padding - tap * dilation) / stride, where this is a whole number
std::vector<AxisTaps> backward_taps(const Axis& a);
// Joins outputs `period` apart to runs; the period is 1 forward and the stride backward.
std::vector<TapRun> tap_runs(const std::vector<AxisTaps>& taps, std::int64_t period);

// Returns the window of a run's outputs in a row with the taps `row`. taps_wide: the filter's
// columns; tap: elements from tap to tap, which are the channels, or 1 if taps are only numbered.
Window window_of(const AxisTaps& row, const TapRun& run, std::int64_t in_width, std::int64_t taps_wide,
                 std::int64_t channels, std::int64_t tap);

}  // namespace reprise::kernels::cpu
