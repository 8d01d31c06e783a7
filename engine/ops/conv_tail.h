// What stands behind a frozen convolution, as one op: reprogramming filter, batch norm, residual, ReLU, max
// pool.
#pragma once

#include <optional>
#include <string_view>

#include "engine/core/tensor.h"
#include "engine/kernels/args.h"
#include "engine/ops/batch_norm.h"

namespace reprise::ops {

// y = [max_pool2d]([relu](batch_norm(depthwise_conv2d(x, filter), gamma, beta) [+ residual]))
struct ConvTail {
  Tensor filter =
      {};  // (R,S,C), or (T,R,S,C) for T task groups; odd R and S, "same" padding; may be undefined
  Tensor gamma = {}, beta = {};  // (C), or (T,C), with the filter's T
  Tensor residual = {};          // like x; may be undefined
  ConvTailArgs args = {};
  std::optional<Pool2dArgs> max_pool = {};  // not with a residual
};

// x (N,H,W,C), the convolution's output. Normalises with the batch's own statistics, which it returns too.
// The same as its parts one after the other, forward and backward, to the bit on one device, but for
// gradients through a max pool: a window's goes to the input that was largest before batch norm rounded it,
// where that made others as large, and those of gamma and beta are sums over the windows alone. Fused it
// keeps x and a bit per element, or a byte and a value per window, for backward (and of a small x what the
// filter made of it). Error where one of the parts would give one.
REPRISE_API BatchNormResult conv_tail(const Tensor& x, const ConvTail& tail);

// The same with given statistics (C) or (T,C), which are constants. An image's result does not depend on its
// batch.
REPRISE_API Tensor conv_tail_eval(const Tensor& x, const Tensor& mean, const Tensor& var,
                                  const ConvTail& tail);

// conv_tail_eval(conv2d(x, w, conv), mean, var, tail), to the bit: what a convolution has made is finished
// while it is in cache. For inference: Error if anything wants a gradient. x (N,H,W,C), w (O,R,S,C/groups).
REPRISE_API Tensor conv2d_tail(const Tensor& x, const Tensor& w, const Conv2dArgs& conv, const Tensor& mean,
                               const Tensor& var, const ConvTail& tail);

// conv_tail(conv2d(x, w, conv), tail), to the bit: the filter, the statistics and a max pool's choice are
// made while the convolution's pixels are in cache, and where w is frozen, 1x1, without padding, and batch
// norm follows, the gradient goes back so too.
// `conv_layer`, if there is one, is the layer that errors, traces and anomalies name for the convolution's
// part.
REPRISE_API BatchNormResult conv2d_tail(const Tensor& x, const Tensor& w, const Conv2dArgs& conv,
                                        const ConvTail& tail, std::string_view conv_layer = {});

// Whether there are kernels for that; else it is the two ops.
REPRISE_API bool conv2d_tail_is_fused(const Tensor& x, const Tensor& w, const Conv2dArgs& conv,
                                      const ConvTail& tail);

// Whether there are kernels that fuse conv_tail there; else the parts run one by one.
REPRISE_API bool conv_tail_is_fused(Device device, DType dtype);
// And with a max pool.
REPRISE_API bool conv_tail_pool_is_fused(Device device, DType dtype);

}  // namespace reprise::ops
