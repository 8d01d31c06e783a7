#include "engine/base/check.h"
#include "engine/ops/arithmetic.h"
#include "engine/ops/conv2d.h"
#include "layers/reprogramming/methods.h"

namespace reprise::layers {
namespace {

// out = conv(x) + conv1x1(x), the second with the first's stride and no bias; weight (O,1,1,I).
class SideConv : public Reprogram {
 public:
  explicit SideConv(const Conv2d& conv)
      : stride_(conv.args.stride),
        weight_(zeros({conv.out_channels(), 1, 1, conv.in_channels()}, conv.weight.dtype(),
                      conv.weight.device())) {
    const Conv2dArgs& a = conv.args;
    // Only then the two have as many outputs for every size of the input.
    const bool same_grid = 2 * a.padding[0] == a.dilation[0] * (conv.kernel() - 1);
    REPRISE_CHECK(
        a.groups == 1 && same_grid,
        "side-conv: a 1x1 convolution beside '{}' would not have its outputs\n  kernel   {}  padding "
        "{}  groups {}\n  expected kernel k with padding (k-1)/2 and one group, as in ResNets",
        conv.path(), conv.kernel(), a.padding[0], a.groups);
    register_parameter("weight", weight_, FileLayout::conv);
  }
  Tensor apply(const Tensor& x, const Tensor& y) override {
    return ops::add(y, ops::conv2d(x, weight_, {.stride = stride_}));
  }
  std::string_view name() const override { return "side"; }
  std::string_view type() const override { return "SideConv"; }
  std::int64_t flops(const Shape&, const Shape& y) const override {
    return y.numel() * (2 * weight_.dim(3) + 1);
  }
  void reset_parameters(const InitStreams& streams) override {
    const Fans fans{weight_.dim(3), weight_.dim(0)};
    draw(weight_, FileLayout::conv, Init::kaiming_uniform, fans, streams, name_of_tensor("weight"));
  }

 private:
  const std::array<int, 2> stride_;
  Tensor weight_;
};

}  // namespace

// A baseline: a pointwise convolution beside every convolution, on a network that otherwise stays as it is.
const Method side_conv_method = {
    .name = "side-conv",
    .seed_names = {"li18", "li50"},
    .what = "conv 1x1 beside every convolution; head trained; batch norm frozen, in evaluation mode",
    .trains_batch_norm = false,
    .train_mode = false,
    .reprogram = [](const Conv2d& conv) -> std::unique_ptr<Reprogram> {
      return std::make_unique<SideConv>(conv);
    },
};

}  // namespace reprise::layers
