// Batch normalisation with running statistics.
#pragma once

#include "engine/kernels/args.h"
#include "engine/ops/batch_norm.h"
#include "layers/module.h"

namespace reprise::layers {

// x (...,C) -> the same shape. In training it normalises with the batch's own statistics and moves the
// running ones towards them; in evaluation it normalises with the running ones. All tensors (C).
class REPRISE_API BatchNorm2d : public Module {
 public:
  explicit BatchNorm2d(int channels, const BatchNormArgs& args = {});
  Tensor forward(const Tensor& x) override;
  std::string_view type() const override { return "BatchNorm2d"; }
  // Moves the running statistics towards those of a training batch.
  void update_running_stats(const ops::BatchNormResult& batch);
  std::int64_t flops(const Shape& x, const Shape& y) const override;

  Tensor weight, bias;  // gamma, beta
  Tensor running_mean, running_var;
  const BatchNormArgs args;
};

}  // namespace reprise::layers
