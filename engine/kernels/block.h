// The operands of the fused op (ops/conv_block.h), by name. An absent one is an empty view.
//
//   made = conv2d(x, w)            w (O,R,S,I); absent: x is `made`, what a convolution computed
//   b    = depthwise(made, filter) filter (R,S,O), stride 1, "same" padding; absent: b is `made`
//   y    = [relu](batch_norm(b; mean, var, gamma, beta) [+ residual])
//
// Images are (N,H,W,C), statistics and parameters (C). open (u8, (N,H,W,ceil(C/8))) says where the ReLU was
// open: bit c % 8 of byte c / 8 is set where y > 0; without a ReLU it is absent.
#pragma once

#include <string_view>
#include <tuple>

#include "engine/core/view.h"

namespace reprise::kernels {

// Lets run() list, name and replace the members of a struct of operands.
#define REPRISE_OPERANDS(...)     \
  auto operands() {               \
    return std::tie(__VA_ARGS__); \
  }                               \
  static constexpr std::string_view names = #__VA_ARGS__;

struct BlockStatsIn {
  View x, w, filter;
  REPRISE_OPERANDS(x, w, filter)
};
// `made` is present where w is, b where the filter is. mean and var (biased) are those of b.
struct BlockStatsOut {
  MutView made, b, mean, var;
  REPRISE_OPERANDS(made, b, mean, var)
};

struct BlockFwdIn {
  View x, w, filter, mean, var, gamma, beta, residual;
  REPRISE_OPERANDS(x, w, filter, mean, var, gamma, beta, residual)
};
// `made` is present where both w and the filter are. `open` may be absent; it is where w is present. y may be
// x where there are neither.
struct BlockFwdOut {
  MutView made, y, open;
  REPRISE_OPERANDS(made, y, open)
};

// x is `made`, or with an absent filter b.
struct BlockParamsIn {
  View x, filter, dy, open, mean, var;
  REPRISE_OPERANDS(x, filter, dy, open, mean, var)
};
struct BlockParamsOut {
  MutView dgamma, dbeta;
  REPRISE_OPERANDS(dgamma, dbeta)
};

// x is `made`. b is present where it was kept; else a kernel computes it again, and where b is present only
// dfilter reads x. Without dgamma and dbeta the statistics are constants. w is the filter of a 1x1 convolution
// without padding, groups and reprogramming filter; with it dx is the gradient of the convolution's input.
struct BlockGradIn {
  View x, b, w, filter, dy, open, mean, var, gamma, dgamma, dbeta;
  REPRISE_OPERANDS(x, b, w, filter, dy, open, mean, var, gamma, dgamma, dbeta)
};
// Each may be absent. dresidual = dy where the ReLU was open, else 0.
struct BlockGradOut {
  MutView dx, dfilter, dresidual;
  REPRISE_OPERANDS(dx, dfilter, dresidual)
};

}  // namespace reprise::kernels
