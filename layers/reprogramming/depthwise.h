// The reprogramming layer of the CLR paper: one small filter per channel behind a frozen convolution.
#pragma once

#include "layers/conv2d.h"

namespace reprise::layers {

// out = y convolved with weight, depthwise, stride 1, same size. weight (kernel,kernel,C) starts as the
// identity (a Dirac: 1 in the middle, else 0). A kernel of 1 is a scale per channel.
class REPRISE_API DepthwiseReprogram : public Reprogram {
 public:
  // For the outputs of `conv`, in its weight's dtype and device. `kernel` is odd.
  DepthwiseReprogram(const Conv2d& conv, int kernel);
  Tensor apply(const Tensor& x, const Tensor& y) override;
  Tensor block_filter() const override { return weight; }
  std::string_view type() const override { return "DepthwiseReprogram"; }
  std::int64_t flops(const Shape& x, const Shape& y) const override;
  // Back to the identity.
  void reset_parameters(const InitStreams& streams) override;

  Tensor weight;
};

}  // namespace reprise::layers
