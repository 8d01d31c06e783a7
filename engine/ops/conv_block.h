// A convolution with its epilogue as one op: reprogramming filter, batch norm, residual, ReLU.
#pragma once

#include <string_view>

#include "engine/core/tensor.h"
#include "engine/kernels/args.h"
#include "engine/ops/batch_norm.h"

namespace reprise::ops {

//   made = conv2d(x, w),   b = depthwise_conv2d(made, filter),   y = [relu](batch_norm(b) [+ residual])
//
// It means its parts, one after the other, and has their bits on one device, forward and backward.
struct ConvBlock {
  Tensor x;                      // (N,H,W,C); without w (N,OH,OW,O), what some convolution computed
  Tensor w = {};                 // (O,R,S,C/groups); may be undefined
  Tensor filter = {};            // (R,S,O), R and S odd, stride 1 and "same" padding; may be undefined
  Tensor gamma = {}, beta = {};  // (O)
  Tensor residual = {};          // like the result, (N,OH,OW,O); may be undefined
  ConvBlockArgs args = {};
  // The layer that errors, traces and anomalies name for the convolution's part; empty: the layer around.
  std::string_view conv_layer = {};
};

// Normalises with the batch's own statistics, which it returns too. For backward it keeps of x, made and b
// what the wanted gradients read (b only where it is small; it is computed again otherwise), and with a ReLU a
// bit per element. Throws Error where one of the parts would.
REPRISE_API BatchNormResult conv_block(const ConvBlock& block);

// Normalises with given statistics (O), which are constants. An image's result does not depend on its batch.
REPRISE_API Tensor conv_block_eval(const ConvBlock& block, const Tensor& mean, const Tensor& var);

}  // namespace reprise::ops
