// MobileNetV2 (Sandler et al., 2018). Names and shapes are those of torchvision's weights; the
// dropout before the head is left out.
#include "layers/architectures.h"
#include "layers/conv_bn.h"
#include "layers/sequential.h"
#include "layers/simple.h"

namespace reprise::layers {
namespace {

const std::string mobilenet_name = "mobilenet_v2";

Conv2dOptions options(int kernel, int stride, int groups) {
  return {.stride = stride,
          .padding = kernel / 2,
          .groups = groups,
          .bias = false,
          .init = Init::kaiming_normal_fan_out};
}

// A convolution with batch norm and a ReLU6.
class ConvNormReLU6 : public Sequential {
 public:
  ConvNormReLU6(int in, int out, int kernel, int stride, int groups = 1)
      : conv_(add<Conv2d>(in, out, kernel, options(kernel, stride, groups))), bn_(add<BatchNorm2d>(out)) {}
  Tensor forward(const Tensor& x) override { return conv_bn(conv_, bn_, x, {}, Activation::relu6); }

 private:
  Conv2d& conv_;
  BatchNorm2d& bn_;
};

// A pointwise convolution to `expansion` times the channels (none if that is 1), a depthwise 3x3 with
// the stride, and a pointwise one to `out` channels without activation. Adds x if the shape stays.
class InvertedResidual : public Module {
 public:
  InvertedResidual(int in, int out, int stride, int expansion) : adds_(stride == 1 && in == out) {
    const int wide = in * expansion;
    auto& conv = child<Sequential>("conv");
    if (expansion != 1) expand_ = &conv.add<ConvNormReLU6>(in, wide, 1, 1);
    depthwise_ = &conv.add<ConvNormReLU6>(wide, wide, 3, stride, wide);
    project_ = &conv.add<Conv2d>(wide, out, 1, options(1, 1, 1));
    bn_ = &conv.add<BatchNorm2d>(out);
  }
  std::string_view type() const override { return "InvertedResidual"; }
  Tensor forward(const Tensor& x) override {
    const Tensor h = (*depthwise_)(expand_ != nullptr ? (*expand_)(x) : x);
    return conv_bn(*project_, *bn_, h, adds_ ? x : Tensor(), Activation::none);
  }

 private:
  bool adds_;
  ConvNormReLU6 *expand_ = nullptr, *depthwise_;
  Conv2d* project_;
  BatchNorm2d* bn_;
};

// The head's parent, which gives it torchvision's name.
class Classifier : public Module {
 public:
  Classifier(int in, int classes) : linear(child<Linear>("1", in, classes)) {}
  Tensor forward(const Tensor& x) override { return linear(x); }
  Linear& linear;
};

class MobileNetV2 : public Network {
 public:
  explicit MobileNetV2(int classes) : features_(child<Sequential>("features")) {
    features_.add<ConvNormReLU6>(3, 32, 3, 2);
    int in = 32;
    struct Stage {
      int expansion, out, blocks, stride;
    };
    for (const Stage& s : {Stage{1, 16, 1, 1}, Stage{6, 24, 2, 2}, Stage{6, 32, 3, 2}, Stage{6, 64, 4, 2},
                           Stage{6, 96, 3, 1}, Stage{6, 160, 3, 2}, Stage{6, 320, 1, 1}})
      for (int b = 0; b < s.blocks; ++b, in = s.out)
        features_.add<InvertedResidual>(in, s.out, b == 0 ? s.stride : 1, s.expansion);
    features_.add<ConvNormReLU6>(in, 1280, 1, 1);
    pool_ = &child<GlobalAvgPool>("avgpool");
    head_ = &child<Classifier>("classifier", 1280, classes).linear;
  }
  Tensor features(const Tensor& x) override { return (*pool_)(features_(x)); }
  const std::string& arch() const override { return mobilenet_name; }
  int default_size() const override { return 224; }

 private:
  Sequential& features_;
  GlobalAvgPool* pool_;
};

std::unique_ptr<Network> make_mobilenet(const std::string&, int classes) {
  return std::make_unique<MobileNetV2>(classes);
}

std::optional<std::string> guess_mobilenet(const std::map<std::string, Shape>& file_shapes) {
  const auto stem = file_shapes.find("features.0.0.weight"),
             first = file_shapes.find("features.1.conv.0.0.weight");
  const bool fits = stem != file_shapes.end() && stem->second == Shape{32, 3, 3, 3} &&
                    first != file_shapes.end() && first->second == Shape{32, 1, 3, 3};
  return fits ? std::optional(mobilenet_name) : std::nullopt;
}

}  // namespace

const ArchitectureFamily mobilenets = {[] { return std::vector{mobilenet_name}; }, make_mobilenet,
                                       guess_mobilenet};

}  // namespace reprise::layers
