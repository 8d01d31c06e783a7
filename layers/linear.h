// A fully connected layer.
#pragma once

#include "layers/module.h"

namespace reprise::layers {

// Computes y = x weight^T + bias: x (N,in) -> y (N,out).
// weight is (out,in), bias (out) or undefined. A bf16 x is first converted to weight's dtype, f32.
class REPRISE_API Linear : public Module {
 public:
  Linear(int in, int out, bool with_bias = true, Init init = Init::kaiming_uniform);
  Tensor forward(const Tensor& x) override;
  std::string_view type() const override { return "Linear"; }
  std::int64_t flops(const Shape& x, const Shape& y) const override;
  void reset_parameters(const InitStreams& streams) override;

  // Replaces the parameters by new ones for `out` outputs, sampled with PyTorch's default
  // distribution. They keep the old dtype and device, and require a gradient.
  void resize(int out, const InitStreams& streams);

  Tensor weight, bias;

 private:
  Init init_;
};

}  // namespace reprise::layers
