#include "layers/conv_tail.h"

#include "engine/autograd/record.h"
#include "engine/core/env.h"
#include "engine/core/error.h"
#include "engine/ops/arithmetic.h"
#include "engine/ops/conv2d.h"
#include "engine/ops/conv_tail.h"
#include "engine/ops/unary.h"
#include "layers/observer.h"
#include "layers/reprogramming/depthwise.h"

namespace reprise::layers {
namespace {

// The filter behind the convolution that the fused op can apply itself; undefined where there is none.
Tensor filter_behind(const Conv2d& conv) {
  const auto* depthwise = dynamic_cast<const DepthwiseReprogram*>(conv.reprogram());
  return depthwise != nullptr ? depthwise->weight : Tensor();
}

// The convolution, and of what stands behind it all but `filter`.
Tensor before_tail(Conv2d& conv, const Tensor& x, const Tensor& filter) {
  const ErrorScope scope("layer", conv.path());
  const Tensor y = conv.convolve(x);
  return conv.reprogram() != nullptr && !filter.defined() ? (*conv.reprogram())(x, y) : y;
}

// Nothing but batch norm, residual and ReLU stands behind the convolution, and perhaps `filter`.
bool is_plain(const Conv2d& conv, const Tensor& filter = {}) {
  return (conv.reprogram() == nullptr || filter.defined()) && !conv.is_depthwise() && !conv.bias.defined();
}

// In inference.
bool is_one_pass(const Conv2d& conv, const BatchNorm2d& bn, const Tensor& x, const Tensor& residual) {
  return !bn.is_training() && is_plain(conv) &&
         !any_requires_grad({x, conv.weight, bn.weight, bn.bias, residual});
}

// All of it as one op; `tail` has what is known beforehand.
Tensor fused(Conv2d& conv, BatchNorm2d& bn, const Tensor& x, ops::ConvTail tail) {
  tail.gamma = bn.weight, tail.beta = bn.bias, tail.args.eps = bn.args.eps;
  if (is_one_pass(conv, bn, x, tail.residual)) {
    const ErrorScope scope("layer", conv.path());
    return ops::conv2d_tail(x, conv.weight, conv.args, bn.running_mean, bn.running_var, tail);
  }
  const auto trained = [&](const ops::BatchNormResult& batch, const Shape& made) {
    bn.move_running_statistics(batch, made.numel() / made[-1]);
    return batch.y;
  };
  tail.filter = filter_behind(conv);
  if (bn.is_training() && is_plain(conv, tail.filter) &&
      ops::conv2d_tail_is_fused(x, conv.weight, conv.args, tail)) {
    Shape made;
    {  // so that its errors name the convolution, and what is wrong behind it batch norm
      const ErrorScope scope("layer", conv.path());
      made = ops::conv2d_shape(x, conv.weight, conv.args);
    }
    const ErrorScope scope("layer", bn.path());
    return trained(ops::conv2d_tail(x, conv.weight, conv.args, tail, conv.path()), made);
  }
  const Tensor y = before_tail(conv, x, tail.filter);
  const ErrorScope scope("layer", bn.path());
  if (!bn.is_training()) return ops::conv_tail_eval(y, bn.running_mean, bn.running_var, tail);
  return trained(ops::conv_tail(y, tail), y.shape());
}

}  // namespace

bool fuses_tails() {
  return !ForwardObserver::is_watching() && env_flag("REPRISE_FUSE");
}

Tensor conv_bn(Conv2d& conv, BatchNorm2d& bn, const Tensor& x, const Tensor& residual, bool relu) {
  if (fuses_tails()) return fused(conv, bn, x, {.residual = residual, .args = {.relu = relu}});
  const Tensor y = bn(conv(x)), sum = residual.defined() ? ops::add(y, residual) : y;
  return relu ? ops::relu(sum) : sum;
}

Tensor conv_bn_pool(Conv2d& conv, BatchNorm2d& bn, MaxPool2d& pool, const Tensor& x) {
  return fuses_tails() ? fused(conv, bn, x, {.max_pool = pool.args}) : pool(conv_bn(conv, bn, x));
}

}  // namespace reprise::layers
