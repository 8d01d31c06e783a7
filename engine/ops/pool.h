// Pooling over images (N,H,W,C). The padding is at most half the window.
#pragma once

#include "engine/core/tensor.h"
#include "engine/kernels/args.h"

namespace reprise::ops {

// Returns the largest value of each window, (N,OH,OW,C); NaN wins over every number, padding never.
// The gradient goes to a window's first largest value. A window has at most 255 taps.
REPRISE_API Tensor max_pool2d(const Tensor& x, const Pool2dArgs& args = {});
// Returns the mean of each window. Padding counts as 0 if args.count_include_pad, else not at all.
REPRISE_API Tensor avg_pool2d(const Tensor& x, const Pool2dArgs& args = {});
// Returns the mean over H and W, (N,C), in f32 if x is bf16.
REPRISE_API Tensor global_avg_pool(const Tensor& x);

}  // namespace reprise::ops
