#include "layers/linear.h"

#include "engine/autograd/autograd.h"
#include "engine/base/check.h"
#include "engine/ops/linear.h"
#include "engine/ops/unary.h"

namespace reprise::layers {

Linear::Linear(int in, int out, bool with_bias, Init init) : init_(init) {
  REPRISE_CHECK(in > 0 && out > 0, "Linear: inputs and outputs must be at least 1, got {} and {}", in, out);
  weight = empty({out, in});
  register_parameter("weight", weight);
  if (with_bias) {
    bias = empty({out});
    register_parameter("bias", bias);
  }
}

Tensor Linear::forward(const Tensor& x) {
  const Tensor features = x.dtype() == DType::bf16 ? ops::cast(x, weight.dtype()) : x;
  return ops::linear(features, weight, bias);
}

std::int64_t Linear::flops(const Shape&, const Shape& y) const {
  return y.numel() * (2 * weight.dim(1) + (bias.defined() ? 1 : 0));
}

void Linear::reset_parameters(const InitStreams& streams) {
  const Fans fans{weight.dim(1), weight.dim(0)};
  sample(weight, FileLayout::plain, init_, fans, streams, name_of_tensor("weight"));
  if (bias.defined()) sample(bias, FileLayout::plain, Init::bias, fans, streams, name_of_tensor("bias"));
}

void Linear::resize(int out, const InitStreams& streams) {
  REPRISE_CHECK(out > 0, "Linear: outputs must be at least 1, got {}", out);
  init_ = Init::kaiming_uniform;
  weight = empty({out, weight.dim(1)}, weight.dtype(), weight.device());
  reprise::set_requires_grad(weight);
  if (bias.defined()) {
    bias = empty({out}, bias.dtype(), bias.device());
    reprise::set_requires_grad(bias);
  }
  reset_parameters(streams);
}

}  // namespace reprise::layers
