// Captured streams: while a thread captures, kernels, copies and fills are listed instead of run.
#pragma once

#include <functional>

namespace reprise::emulation {

// Returns false unless this thread captures; else adds the work to the graph.
bool captured(const std::function<void()>& work);
// Returns whether this thread captures, and makes that capture fail: CUDA allows no such call in it.
bool breaks_capture();

}  // namespace reprise::emulation
