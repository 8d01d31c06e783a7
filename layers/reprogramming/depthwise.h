// The CLR paper's reprogramming layer: one small filter per channel after a frozen convolution.
#pragma once

#include "layers/conv2d.h"

namespace reprise::layers {

// Convolves y depthwise with weight (kernel,kernel,C), at stride 1 and "same" padding. weight
// starts as the identity (a Dirac: 1 in the middle, else 0). A kernel of 1 is a scale per channel.
class REPRISE_API DepthwiseReprogram : public Reprogram {
 public:
  // Makes a layer for the outputs of `conv`, with the dtype and device of its weight. Throws Error
  // unless `kernel` is odd.
  DepthwiseReprogram(const Conv2d& conv, int kernel);
  Tensor apply(const Tensor& x, const Tensor& y) override;
  Tensor block_filter() const override { return weight; }
  std::string_view type() const override { return "DepthwiseReprogram"; }
  std::int64_t flops(const Shape& x, const Shape& y) const override;
  // Makes weight the identity again.
  void reset_parameters(const InitStreams& streams) override;

  Tensor weight;
};

}  // namespace reprise::layers
