// A fully connected layer.
#pragma once

#include "layers/module.h"

namespace reprise::layers {

// x (N,in) -> (N,out) = x weight^T + bias. weight (out,in), bias (out) or undefined.
class REPRISE_API Linear : public Module {
 public:
  Linear(int in, int out, bool with_bias = true, Init init = Init::kaiming_uniform);
  Tensor forward(const Tensor& x) override;
  std::string_view type() const override { return "Linear"; }
  std::int64_t flops(const Shape& x, const Shape& y) const override;
  void reset_parameters(const InitStreams& streams) override;

  // Another number of outputs: new parameters, which require a gradient, of the old ones' dtype and device,
  // drawn with PyTorch's default.
  void resize(int out, const InitStreams& streams);

  Tensor weight, bias;

 private:
  Init init_;
};

}  // namespace reprise::layers
