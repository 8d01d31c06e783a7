#include "engine/ops/arithmetic.h"
#include "engine/ops/conv2d.h"
#include "layers/reprogramming/methods.h"

namespace reprise::layers {
namespace {

// Computes out = y + scale * depthwise3x3(y). scale (C) starts at 0, so the layer starts as the
// identity. weight (3,3,C) starts at random values: with both at 0, neither would get a gradient.
class ResidualReprogram : public Reprogram {
 public:
  explicit ResidualReprogram(const Conv2d& conv)
      : weight_(empty({3, 3, conv.out_channels()}, conv.weight.dtype(), conv.weight.device())),
        scale_(zeros({conv.out_channels()}, conv.weight.dtype(), conv.weight.device())) {
    register_parameter("weight", weight_, FileLayout::depthwise);
    register_parameter("scale", scale_);
  }
  Tensor apply(const Tensor&, const Tensor& y) override {
    return ops::add(y, ops::mul(ops::depthwise_conv2d(y, weight_, {.padding = {1, 1}}), scale_));
  }
  std::string_view type() const override { return "ResidualReprogram"; }
  // Nine taps, and the scale with the sum: ten multiply-adds per value.
  std::int64_t flops(const Shape&, const Shape& y) const override { return 2 * 10 * y.numel(); }
  void reset_parameters(const InitStreams& streams) override {
    sample(weight_, FileLayout::depthwise, Init::kaiming_uniform, {9, 9}, streams, name_of_tensor("weight"));
    copy_into(scale_, zeros(scale_.shape(), scale_.dtype(), scale_.device()));
  }
  // As in the original, the penalty does not count the scale.
  std::vector<Tensor> penalised() override { return {weight_}; }

 private:
  Tensor weight_, scale_;
};

}  // namespace

// The original's variant with a residual:
// adds a depthwise 3x3 of each output, times a trained scale.
const Method clr_residual_method = {
    .name = "clr-residual",
    .original_names = {"Ghost_a"},
    .what = "scale * depthwise 3x3 added to every convolution's output; batch norm and head trained",
    .trains_batch_norm = true,
    .train_mode = true,
    .reprogram = [](const Conv2d& conv) -> std::unique_ptr<Reprogram> {
      return std::make_unique<ResidualReprogram>(conv);
    },
};

}  // namespace reprise::layers
