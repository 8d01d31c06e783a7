// The operands of the fused op (ops/conv_block.h), by name. An absent operand is an empty view.
//
//   made = conv2d(x, w)             w (O,R,S,I); if absent, x is `made`, a convolution's output
//   b    = depthwise(made, filter)  filter (R,S,O), stride 1, same size; if absent, b is `made`
//   y    = [activation](batch_norm(b; mean, var, gamma, beta) [+ residual])
//
// Images are (N,H,W,C), statistics and parameters (C). `open`, u8 (N,H,W,ceil(C/8)), has one bit
// per element of y: bit c % 8 of byte c / 8 is set where the activation passes dy back. A ReLU does
// where y > 0, a ReLU6 where 0 < y < 6, y being rounded. Without an activation `open` is absent.
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
// `made` is present if w is, b if the filter is. mean and var are b's mean and biased variance.
struct BlockStatsOut {
  MutView made, b, mean, var;
  REPRISE_OPERANDS(made, b, mean, var)
};

struct BlockFwdIn {
  View x, w, filter, mean, var, gamma, beta, residual;
  REPRISE_OPERANDS(x, w, filter, mean, var, gamma, beta, residual)
};
// `made` is memory for the convolution's output, present if both w and the filter are. `open` may
// be absent; if w is present, it must be. If w and the filter are both absent, y may be x's memory.
struct BlockFwdOut {
  MutView made, y, open;
  REPRISE_OPERANDS(made, y, open)
};

// x is `made` if the filter is present, else b.
struct BlockParamsIn {
  View x, filter, dy, open, mean, var;
  REPRISE_OPERANDS(x, filter, dy, open, mean, var)
};
struct BlockParamsOut {
  MutView dgamma, dbeta;
  REPRISE_OPERANDS(dgamma, dbeta)
};

// x is `made`. If b is present, only dfilter needs x; else the kernel computes b again from x.
// If dgamma and dbeta are absent, the statistics are constants. w is present only for a 1x1
// convolution without padding, groups and filter; dx is then the gradient of its input.
struct BlockGradIn {
  View x, b, w, filter, dy, open, mean, var, gamma, dgamma, dbeta;
  REPRISE_OPERANDS(x, b, w, filter, dy, open, mean, var, gamma, dgamma, dbeta)
};
// Each output may be absent. dresidual = dy where `open` is set, else 0.
struct BlockGradOut {
  MutView dx, dfilter, dresidual;
  REPRISE_OPERANDS(dx, dfilter, dresidual)
};

}  // namespace reprise::kernels
