// A convolution with its epilogue as one op: reprogramming filter, batch norm, residual, ReLU.
#pragma once

#include <string_view>

#include "engine/core/tensor.h"
#include "engine/kernels/args.h"
#include "engine/ops/batch_norm.h"

namespace reprise::ops {

//   made = conv2d(x, w)                          the convolution's output; without w: made = x
//   b    = depthwise_conv2d(made, filter)        without a filter: b = made
//   y    = [activation](batch_norm(b) [+ residual])
//
// On one device, result and gradients have the same bits as these ops one after the other.
struct ConvBlock {
  Tensor x;                      // (N,H,W,C); without w (N,OH,OW,O), the output of a convolution
  Tensor w = {};                 // (O,R,S,C/groups); may be undefined
  Tensor filter = {};            // (R,S,O), R and S odd, stride 1 and "same" padding; may be undefined
  Tensor gamma = {}, beta = {};  // (O); like w and filter in f32 if x is bf16
  Tensor residual = {};          // (N,OH,OW,O), in x's dtype; may be undefined
  ConvBlockArgs args = {};
  // The layer that errors, traces and anomalies name for the convolution; empty: the current layer.
  std::string_view conv_layer = {};
};

// Normalises with the batch's own statistics and returns them too.
// Saves for backward only those of x, made and b that the wanted gradients need. Recomputes a large
// b instead of saving it. For an activation saves one bit per element. Throws the Errors of the parts.
REPRISE_API BatchNormResult conv_block(const ConvBlock& block);

// Normalises with given statistics (O), which are constants. Images do not affect each other.
REPRISE_API Tensor conv_block_eval(const ConvBlock& block, const Tensor& mean, const Tensor& var);

}  // namespace reprise::ops
