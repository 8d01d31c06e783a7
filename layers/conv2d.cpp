#include "layers/conv2d.h"

#include "engine/core/check.h"
#include "engine/core/error.h"
#include "engine/ops/conv2d.h"

namespace reprise::layers {

Tensor Reprogram::operator()(const Tensor& x, const Tensor& y) {
  const ErrorScope scope("layer", path());
  Tensor out = apply(x, y);
  notify(y, out);
  return out;
}

Conv2d::Conv2d(int in, int out, int kernel, const Conv2dOptions& o)
    : args{{o.stride, o.stride}, {o.padding, o.padding}, {o.dilation, o.dilation}, o.groups}, init_(o.init) {
  REPRISE_CHECK(in > 0 && out > 0 && kernel > 0 && o.groups > 0 && in % o.groups == 0 && out % o.groups == 0,
                "Conv2d: {} channels to {} with kernel {} in {} groups is not a convolution", in, out, kernel,
                o.groups);
  weight = zeros({out, kernel, kernel, in / o.groups});
  register_parameter("weight", weight, FileLayout::conv);
  if (o.bias) {
    bias = zeros({out});
    register_parameter("bias", bias);
  }
}

Tensor Conv2d::forward(const Tensor& x) {
  Tensor y = ops::conv2d(x, weight, args, bias);
  return reprogram_ != nullptr ? (*reprogram_)(x, y) : y;
}

std::int64_t Conv2d::flops(const Shape&, const Shape& y) const {
  return y.numel() * (2 * weight.shape().drop_front().numel() + (bias.defined() ? 1 : 0));
}

void Conv2d::reset_parameters(std::uint64_t seed) {
  const std::int64_t taps = weight.dim(1) * weight.dim(2), fan_in = taps * weight.dim(3);
  draw(weight, init_, {fan_in, taps * weight.dim(0) / args.groups}, seed, name_of_tensor("weight"));
  if (bias.defined()) draw(bias, Init::kaiming_uniform, {fan_in, 1}, seed, name_of_tensor("bias"));
}

void Conv2d::set_reprogram(std::unique_ptr<Reprogram> reprogram) {
  drop_child("reprogram");
  reprogram_ = reprogram.get();
  if (reprogram) adopt("reprogram", std::move(reprogram));
}

}  // namespace reprise::layers
