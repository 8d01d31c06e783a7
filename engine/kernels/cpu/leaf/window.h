// How a filter or pooling window walks over memory. Plain numbers, shared by the leaf functions and their
// callers.
#pragma once

#include <cstdint>

namespace reprise::kernels::cpu {

// `count` outputs side by side that all see the same rows x columns of taps. Steps are in elements; those of
// the input and the taps may be negative.
struct Window {
  std::int64_t count, out_step, in_step;  // from one output to the next
  std::int64_t rows, columns;             // taps; may be 0
  std::int64_t in_row, in_column;         // from one tap to the next, in the input
  std::int64_t tap_row, tap_column;       // and among the taps
  std::int64_t channels;
};

}  // namespace reprise::kernels::cpu
