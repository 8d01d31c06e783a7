#include "layers/reprogramming/depthwise.h"

#include <algorithm>
#include <vector>

#include "engine/base/check.h"
#include "engine/ops/conv2d.h"

namespace reprise::layers {

DepthwiseReprogram::DepthwiseReprogram(const Conv2d& conv, int kernel) {
  REPRISE_CHECK(kernel % 2 == 1, "reprogramming: the kernel must be odd, got {}", kernel);
  weight = zeros({kernel, kernel, conv.out_channels()}, conv.weight.dtype(), conv.weight.device());
  reset_parameters(0);
  register_parameter("weight", weight, FileLayout::depthwise);
}

Tensor DepthwiseReprogram::apply(const Tensor&, const Tensor& y) {
  const int half = static_cast<int>(weight.dim(0) / 2);
  return ops::depthwise_conv2d(y, weight, {.padding = {half, half}});
}

std::int64_t DepthwiseReprogram::flops(const Shape&, const Shape& y) const {
  return 2 * weight.dim(0) * weight.dim(1) * y.numel();
}

void DepthwiseReprogram::reset_parameters(const InitStreams& streams) {
  skip_samples(weight.numel(), streams);
  const std::int64_t taps = weight.dim(0) * weight.dim(1), channels = weight.dim(2);
  std::vector<float> dirac(static_cast<std::size_t>(taps * channels), 0.0F);
  std::fill_n(dirac.begin() + taps / 2 * channels, channels, 1.0F);
  copy_into(weight,
            tensor(weight.shape(), std::span<const float>(dirac)).to(weight.dtype()).to(weight.device()));
}

}  // namespace reprise::layers
