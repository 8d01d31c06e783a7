// Pooling over images (N,H,W,C).
#pragma once

#include "engine/core/tensor.h"
#include "engine/kernels/args.h"

namespace reprise::ops {

// The largest value of each window; padding never wins. NaN wins. Windows of at most 255 taps, padding at
// most half.
REPRISE_API Tensor max_pool2d(const Tensor& x, const Pool2dArgs& args = {});
// The mean of each window; the padding counts as zeros if args.count_include_pad, else not at all.
REPRISE_API Tensor avg_pool2d(const Tensor& x, const Pool2dArgs& args = {});
// The mean over H and W: (N,H,W,C) -> (N,C), in f32 where x is bf16.
REPRISE_API Tensor global_avg_pool(const Tensor& x);

}  // namespace reprise::ops
