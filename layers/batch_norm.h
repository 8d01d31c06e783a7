// Batch normalisation with running statistics.
#pragma once

#include "engine/kernels/args.h"
#include "engine/ops/batch_norm.h"
#include "layers/module.h"

namespace reprise::layers {

// Normalises every channel: x (...,C) -> y of the same shape.
//   y = (x - mean) / sqrt(var + eps) * weight + bias
// In training, mean and var are the batch's own statistics, and the running statistics move towards
// them. In evaluation, mean and var are the running statistics.
class REPRISE_API BatchNorm2d : public Module {
 public:
  using Options = BatchNormArgs;
  explicit BatchNorm2d(int channels, const BatchNormArgs& args = {});
  Tensor forward(const Tensor& x) override;
  std::string_view type() const override { return "BatchNorm2d"; }
  // Moves the running statistics towards a training batch's, the variance unbiased:
  //   running = (1 - momentum) * running + momentum * batch
  // forward and conv_bn call it. It records no gradient.
  void update_running_stats(const ops::BatchNormResult& batch);
  std::int64_t flops(const Shape& x, const Shape& y) const override;

  Tensor weight, bias;               // gamma and beta, (C), parameters
  Tensor running_mean, running_var;  // (C), buffers
  const BatchNormArgs args;
};

}  // namespace reprise::layers
