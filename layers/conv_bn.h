// A convolution with its epilogue: reprogramming layer, batch norm, residual, ReLU.
#pragma once

#include "layers/batch_norm.h"
#include "layers/conv2d.h"

namespace reprise::layers {

// Returns bn(conv(x)) [+ residual], then [ReLU]; residual may be undefined. Batch norm's running statistics
// move as in its forward, and errors name the modules. Runs as one op (ops::conv_block) unless
// fuses_blocks() says no; the results are the same, to the bit.
REPRISE_API Tensor conv_bn(Conv2d& conv, BatchNorm2d& bn, const Tensor& x, const Tensor& residual = {},
                           bool relu = true);

// False while an observer wants to see every module's output, and where REPRISE_FUSE=0.
REPRISE_API bool fuses_blocks();

}  // namespace reprise::layers
