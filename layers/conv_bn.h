// A convolution with its epilogue: reprogramming layer, batch norm, residual, activation.
#pragma once

#include "layers/batch_norm.h"
#include "layers/conv2d.h"

namespace reprise::layers {

// Computes, for x (N,H,W,in) and an optional residual of the result's shape (N,OH,OW,out):
//   y = [activation](bn(conv(x)) [+ residual])
// conv(x) includes conv's reprogramming layer.
// In training, bn's running statistics move as in its forward.
// Runs as one op (ops::conv_block) if fuses_blocks(), else module by module, with the same bits.
REPRISE_API Tensor conv_bn(Conv2d& conv, BatchNorm2d& bn, const Tensor& x, const Tensor& residual = {},
                           Activation activation = Activation::relu);

// Returns whether conv_bn runs as one op: not while a ForwardObserver lives in this thread (it must
// see every module's output), and not with REPRISE_FUSE=0.
REPRISE_API bool fuses_blocks();

}  // namespace reprise::layers
