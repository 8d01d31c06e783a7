// From bytes to activations.
#pragma once

#include "engine/core/tensor.h"
#include "engine/kernels/args.h"

namespace reprise::ops {

// u8 (N,H,W,C) -> (u/255 - mean[c]) / std[c] in `dtype`. No gradient. C at most 4.
REPRISE_API Tensor normalize_images(const Tensor& images, DType dtype = DType::f32,
                                    const NormalizeArgs& args = {});

}  // namespace reprise::ops
