#include "layers/conv2d.h"

#include "engine/base/check.h"
#include "engine/base/error.h"
#include "engine/ops/arithmetic.h"
#include "engine/ops/conv2d.h"

namespace reprise::layers {

Tensor Reprogram::operator()(const Tensor& x, const Tensor& y) {
  const ErrorScope scope("layer", path());
  Tensor out = apply(x, y);
  notify(y, out);
  return out;
}

std::vector<Tensor> Reprogram::penalised() {
  std::vector<Tensor> all;
  for (const Entry& e : own_tensors()) all.push_back(*e.tensor);
  return all;
}

Conv2d::Conv2d(int in, int out, int kernel, const Conv2dOptions& o)
    : args{{o.stride, o.stride}, {o.padding, o.padding}, {o.dilation, o.dilation}, o.groups},
      in_(in),
      out_(out),
      kernel_(kernel),
      init_(o.init) {
  REPRISE_CHECK(in > 0 && out > 0 && kernel > 0 && o.groups > 0 && in % o.groups == 0 && out % o.groups == 0,
                "Conv2d: channels, kernel and groups must be at least 1 and groups divide the channels, "
                "got {} channels to {}, kernel {}, {} groups",
                in, out, kernel, o.groups);
  weight = is_depthwise() ? empty({kernel, kernel, out}) : empty({out, kernel, kernel, in / o.groups});
  register_parameter("weight", weight, is_depthwise() ? FileLayout::depthwise : FileLayout::conv);
  if (o.bias) {
    bias = empty({out});
    register_parameter("bias", bias);
  }
}

Tensor Conv2d::forward(const Tensor& x) {
  const Tensor y = convolve(x);
  return reprogram_ != nullptr ? (*reprogram_)(x, y) : y;
}

Tensor Conv2d::convolve(const Tensor& x) const {
  if (!is_depthwise()) return ops::conv2d(x, weight, args, bias);
  const Tensor y = ops::depthwise_conv2d(x, weight, args);
  return bias.defined() ? ops::add(y, bias) : y;
}

std::int64_t Conv2d::flops(const Shape&, const Shape& y) const {
  return y.numel() * (2 * (weight.numel() / out_) + (bias.defined() ? 1 : 0));
}

// As in PyTorch, fan_out ignores the number of groups.
void Conv2d::reset_parameters(const InitStreams& streams) {
  const std::int64_t taps = std::int64_t{kernel_} * kernel_, fan_in = taps * in_ / args.groups;
  sample(weight, is_depthwise() ? FileLayout::depthwise : FileLayout::conv, init_, {fan_in, taps * out_},
         streams, name_of_tensor("weight"));
  if (bias.defined())
    sample(bias, FileLayout::plain, Init::bias, {fan_in, 1}, streams, name_of_tensor("bias"));
}

void Conv2d::set_reprogram(std::unique_ptr<Reprogram> reprogram) {
  if (reprogram_ != nullptr) drop_child(reprogram_->name());
  reprogram_ = reprogram.get();
  if (reprogram) adopt(std::string(reprogram_->name()), std::move(reprogram));
}

}  // namespace reprise::layers
