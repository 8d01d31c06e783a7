#include "engine/base/check.h"
#include "engine/ops/arithmetic.h"
#include "engine/ops/conv2d.h"
#include "layers/reprogramming/methods.h"

namespace reprise::layers {
namespace {

// Computes out = conv(x) + conv1x1(x).
// The 1x1 convolution, weight (O,1,1,I), has the stride of conv and no bias.
class SideConv : public Reprogram {
 public:
  explicit SideConv(const Conv2d& conv)
      : stride_(conv.args.stride),
        weight_(empty({conv.out_channels(), 1, 1, conv.in_channels()}, conv.weight.dtype(),
                      conv.weight.device())) {
    const Conv2dArgs& a = conv.args;
    // Under this condition both convolutions give outputs of the same size for every input size.
    const bool same_grid = 2 * a.padding[0] == a.dilation[0] * (conv.kernel() - 1);
    REPRISE_CHECK(a.groups == 1 && same_grid,
                  "side-conv: a 1x1 convolution cannot match the output of '{}'\n  kernel   {}  padding "
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
    sample(weight_, FileLayout::conv, Init::kaiming_uniform, fans, streams, name_of_tensor("weight"));
  }

 private:
  const std::array<int, 2> stride_;
  Tensor weight_;
};

}  // namespace

// A baseline: a trained 1x1 convolution in parallel to every convolution of a frozen network.
const Method side_conv_method = {
    .name = "side-conv",
    .original_names = {"li18", "li50"},
    .what = "conv 1x1 in parallel to every convolution; head trained; batch norm frozen, in evaluation mode",
    .trains_batch_norm = false,
    .train_mode = false,
    .reprogram = [](const Conv2d& conv) -> std::unique_ptr<Reprogram> {
      return std::make_unique<SideConv>(conv);
    },
};

}  // namespace reprise::layers
