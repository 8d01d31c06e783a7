// From the bytes of images to activations.
#pragma once

#include "engine/core/tensor.h"
#include "engine/kernels/args.h"

namespace reprise::ops {

// Gathers and normalises a batch: y[n,h,w,c] = (images[rows[n],h,w,c] / 255 - mean[c]) / std[c].
// images u8 (M,H,W,C) with C <= 4; rows i64 (N) on the same device; y (N,H,W,C) in `dtype`, without
// a gradient. If rows is undefined, y has all images in order.
// Throws Error if a row is not in 0..M-1; on a GPU rows are not checked.
REPRISE_API Tensor normalize_images(const Tensor& images, DType dtype = DType::f32,
                                    const NormalizeArgs& args = {}, const Tensor& rows = {});

}  // namespace reprise::ops
