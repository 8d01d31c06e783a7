// How a filter or pooling window moves over memory.
#pragma once

#include <cstdint>

namespace reprise::kernels::cpu {

// A run of `count` outputs, side by side, that all see the same rows x columns of taps.
// Steps are in elements; they may be negative for inputs and taps.
struct Window {
  std::int64_t count, out_step, in_step;  // from one output to the next
  std::int64_t rows, columns;             // taps; may be 0
  std::int64_t in_row, in_column;         // from one tap to the next in the input
  std::int64_t tap_row, tap_column;       // and in the filter
  std::int64_t channels;
};

}  // namespace reprise::kernels::cpu
