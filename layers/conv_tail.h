// A convolution with what stands behind it: reprogramming, batch norm, residual, ReLU, max pool.
#pragma once

#include "layers/batch_norm.h"
#include "layers/conv2d.h"
#include "layers/simple.h"

namespace reprise::layers {

// bn(conv(x)) [+ residual], then [ReLU]; residual may be undefined. What follows the convolution is one fused
// op (ops::conv_tail), and the convolution part of it where that gains (ops::conv2d_tail), unless
// fuses_tails() says no. Batch norm's running statistics move as in its forward. The modules' names stand in
// errors either way.
REPRISE_API Tensor conv_bn(Conv2d& conv, BatchNorm2d& bn, const Tensor& x, const Tensor& residual = {},
                           bool relu = true);

// pool(conv_bn(conv, bn, x)), in one op too.
REPRISE_API Tensor conv_bn_pool(Conv2d& conv, BatchNorm2d& bn, MaxPool2d& pool, const Tensor& x);

// False while an observer wants to see every module's output, and where REPRISE_FUSE=0. The results are the
// same, to the bit, as far as ops::conv_tail says so.
REPRISE_API bool fuses_tails();

}  // namespace reprise::layers
