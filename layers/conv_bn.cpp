#include "layers/conv_bn.h"

#include "engine/base/env.h"
#include "engine/base/error.h"
#include "engine/ops/arithmetic.h"
#include "engine/ops/conv_block.h"
#include "engine/ops/error_bound.h"
#include "engine/ops/unary.h"
#include "layers/observer.h"

namespace reprise::layers {

bool fuses_blocks() {
  return !ForwardObserver::is_watching() && !ops::ErrorBounds::wanted() && env_flag("REPRISE_FUSE");
}

Tensor conv_bn(Conv2d& conv, BatchNorm2d& bn, const Tensor& x, const Tensor& residual,
               Activation activation) {
  if (!fuses_blocks()) {
    const Tensor y = bn(conv(x)), sum = residual.defined() ? ops::add(y, residual) : y;
    return activation == Activation::none   ? sum
           : activation == Activation::relu ? ops::relu(sum)
                                            : ops::relu6(sum);
  }
  ops::ConvBlock block{.x = x,
                       .w = conv.weight,
                       .gamma = bn.weight,
                       .beta = bn.bias,
                       .residual = residual,
                       .args = {.conv = conv.args, .eps = bn.args.eps, .activation = activation},
                       .conv_layer = conv.path()};
  Reprogram* reprogram = conv.reprogram();
  if (reprogram != nullptr) block.filter = reprogram->block_filter();
  const bool other_layer = reprogram != nullptr && !block.filter.defined();
  if (other_layer || conv.is_depthwise() || conv.bias.defined()) {  // conv_block computes none of these
    const ErrorScope scope("layer", conv.path());
    block.x = conv.convolve(x), block.w = {};
    if (other_layer) block.x = (*reprogram)(x, block.x);
  }
  const ErrorScope scope("layer", bn.path());
  if (!bn.is_training()) return ops::conv_block_eval(block, bn.running_mean, bn.running_var);
  const ops::BatchNormResult batch = ops::conv_block(block);
  bn.update_running_stats(batch);
  return batch.y;
}

}  // namespace reprise::layers
