// From bytes to activations.
#pragma once

#include "engine/core/tensor.h"
#include "engine/kernels/args.h"

namespace reprise::ops {

// u8 (M,H,W,C) -> (u/255 - mean[c]) / std[c] in `dtype`. No gradient. C at most 4. rows (i64 (N), on the
// images' device): the images of a batch, which are gathered; undefined: all of them. Error where one is not
// in 0..M-1 (on a GPU nobody looks).
REPRISE_API Tensor normalize_images(const Tensor& images, DType dtype = DType::f32,
                                    const NormalizeArgs& args = {}, const Tensor& rows = {});

}  // namespace reprise::ops
