#include "layers/batch_norm.h"

#include "engine/autograd/autograd.h"
#include "engine/base/check.h"

namespace reprise::layers {

BatchNorm2d::BatchNorm2d(int channels, const BatchNormArgs& a) : args(a) {
  REPRISE_CHECK(channels > 0, "BatchNorm2d: the number of channels must be at least 1, got {}", channels);
  weight = ones({channels});
  bias = zeros({channels});
  running_mean = zeros({channels});
  running_var = ones({channels});
  register_parameter("weight", weight);
  register_parameter("bias", bias);
  register_buffer("running_mean", running_mean);
  register_buffer("running_var", running_var);
}

Tensor BatchNorm2d::forward(const Tensor& x) {
  if (!is_training()) return ops::batch_norm_eval(x, running_mean, running_var, weight, bias, args);
  const ops::BatchNormResult batch = ops::batch_norm(x, weight, bias, args);
  update_running_stats(batch);
  return batch.y;
}

void BatchNorm2d::update_running_stats(const ops::BatchNormResult& batch) {
  const NoGrad no_grad;
  ops::update_running_stats(batch, batch.y.numel() / batch.y.dim(-1), running_mean, running_var, args);
}

// Counts a multiplication and an addition per value;
// the batch statistics of training are not counted.
std::int64_t BatchNorm2d::flops(const Shape&, const Shape& y) const {
  return 2 * y.numel();
}

}  // namespace reprise::layers
