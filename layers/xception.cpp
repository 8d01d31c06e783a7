// Xception (Chollet, 2017) as timm publishes it, there called xception and legacy_xception.
// Names, shapes and padding are those of timm's weights.
#include "engine/ops/arithmetic.h"
#include "engine/ops/unary.h"
#include "layers/architectures.h"
#include "layers/conv_bn.h"
#include "layers/sequential.h"
#include "layers/simple.h"

namespace reprise::layers {
namespace {

const std::string xception_name = "xception";

Conv2dOptions options(int stride, int padding, int groups = 1) {
  return {.stride = stride,
          .padding = padding,
          .groups = groups,
          .bias = false,
          .init = Init::kaiming_normal_fan_out};
}

// A depthwise 3x3 convolution directly followed by a pointwise one.
class SeparableConv2d : public Module {
 public:
  SeparableConv2d(int in, int out)
      : conv1_(child<Conv2d>("conv1", in, in, 3, options(1, 1, in))),
        pointwise_(child<Conv2d>("pointwise", in, out, 1, options(1, 0))) {}
  std::string_view type() const override { return "SeparableConv2d"; }
  Tensor forward(const Tensor& x) override { return pointwise_(conv1_(x)); }
  // Computes [relu](bn(this(x)) [+ residual]) if fuses_blocks(): conv_bn does the pointwise part.
  Tensor fused(BatchNorm2d& bn, const Tensor& x, const Tensor& residual = {}, bool relu = true) {
    return conv_bn(pointwise_, bn, conv1_(x), residual, relu ? Activation::relu : Activation::none);
  }
  // Computes relu(bn(this(x))).
  Tensor with(BatchNorm2d& bn, const Tensor& x) {
    return fuses_blocks() ? fused(bn, x) : ops::relu(bn((*this)(x)));
  }

 private:
  Conv2d &conv1_, &pointwise_;
};

struct BlockSpec {
  int in, out, convolutions, stride;
  bool starts_with_relu = true, grows_first = true;
};
constexpr BlockSpec block_specs[] = {
    {64, 128, 2, 2, false}, {128, 256, 2, 2}, {256, 728, 2, 2}, {728, 728, 3, 1},
    {728, 728, 3, 1},       {728, 728, 3, 1}, {728, 728, 3, 1}, {728, 728, 3, 1},
    {728, 728, 3, 1},       {728, 728, 3, 1}, {728, 728, 3, 1}, {728, 1024, 2, 2, true, false},
};

// Repeats (ReLU, separable convolution, batch norm) `convolutions` times, then a max pool if the
// stride is not 1, and adds the shortcut: x, or a pointwise convolution and batch norm of x where
// the shape changes. No ReLU follows the sum.
class XceptionBlock : public Module {
 public:
  explicit XceptionBlock(const BlockSpec& s) : starts_with_relu_(s.starts_with_relu) {
    if (s.in != s.out || s.stride != 1) {
      skip_ = &child<Conv2d>("skip", s.in, s.out, 1, options(s.stride, 0));
      skip_bn_ = &child<BatchNorm2d>("skipbn", s.out);
    }
    rep_ = &child<Sequential>("rep");
    for (int i = 0; i < s.convolutions; ++i) {
      const int in = i == 0 || !s.grows_first ? s.in : s.out;
      const int out = s.grows_first || i + 1 == s.convolutions ? s.out : s.in;
      if (i > 0 || s.starts_with_relu) rep_->add<ReLU>();
      auto& convolution = rep_->add<SeparableConv2d>(in, out);
      normalised_.emplace_back(convolution, rep_->add<BatchNorm2d>(out));
    }
    if (s.stride != 1) pool_ = &rep_->add<MaxPool2d>(Pool2dArgs{{3, 3}, {s.stride, s.stride}, {1, 1}});
  }
  std::string_view type() const override { return "XceptionBlock"; }
  Tensor forward(const Tensor& x) override {
    if (fuses_blocks()) return fused(x);
    const Tensor y = (*rep_)(x);
    return ops::add(y, skip_ != nullptr ? (*skip_bn_)((*skip_)(x)) : x);
  }

 private:
  // Computes the same in other groups: each ReLU joins the batch norm before it, and the sum joins
  // the last batch norm (the shortcut's, if it has one).
  Tensor fused(const Tensor& x) {
    Tensor h = starts_with_relu_ ? ops::relu(x) : x;
    for (std::size_t i = 0; i < normalised_.size(); ++i) {
      const bool last = i + 1 == normalised_.size();
      auto& [convolution, bn] = normalised_[i];
      h = convolution.fused(bn, h, last && skip_ == nullptr ? x : Tensor(), !last);
    }
    if (pool_ != nullptr) h = (*pool_)(h);
    return skip_ != nullptr ? conv_bn(*skip_, *skip_bn_, x, h, Activation::none) : h;
  }

  bool starts_with_relu_;
  Conv2d* skip_ = nullptr;
  BatchNorm2d* skip_bn_ = nullptr;
  Sequential* rep_ = nullptr;
  std::vector<std::pair<SeparableConv2d&, BatchNorm2d&>> normalised_;
  MaxPool2d* pool_ = nullptr;
};

class Xception : public Network {
 public:
  explicit Xception(int classes)
      : conv1_(child<Conv2d>("conv1", 3, 32, 3, options(2, 0))),
        bn1_(child<BatchNorm2d>("bn1", 32)),
        conv2_(child<Conv2d>("conv2", 32, 64, 3, options(1, 0))),
        bn2_(child<BatchNorm2d>("bn2", 64)) {
    int number = 0;
    for (const BlockSpec& s : block_specs)
      blocks_.push_back(&child<XceptionBlock>("block" + std::to_string(++number), s));
    conv3_ = &child<SeparableConv2d>("conv3", 1024, 1536);
    bn3_ = &child<BatchNorm2d>("bn3", 1536);
    conv4_ = &child<SeparableConv2d>("conv4", 1536, 2048);
    bn4_ = &child<BatchNorm2d>("bn4", 2048);
    global_pool_ = &child<GlobalAvgPool>("global_pool");
    head_ = &child<Linear>("fc", 2048, classes);
  }

  Tensor features(const Tensor& x) override {
    Tensor h = conv_bn(conv1_, bn1_, x);
    h = conv_bn(conv2_, bn2_, h);
    for (XceptionBlock* block : blocks_) h = (*block)(h);
    h = conv4_->with(*bn4_, conv3_->with(*bn3_, h));
    return (*global_pool_)(h);
  }
  const std::string& arch() const override { return xception_name; }
  // The weights were trained at 299x299, but the original feeds every network 224x224.
  int default_size() const override { return 224; }

 private:
  Conv2d& conv1_;
  BatchNorm2d& bn1_;
  Conv2d& conv2_;
  BatchNorm2d& bn2_;
  std::vector<XceptionBlock*> blocks_;
  SeparableConv2d *conv3_ = nullptr, *conv4_ = nullptr;
  BatchNorm2d *bn3_ = nullptr, *bn4_ = nullptr;
  GlobalAvgPool* global_pool_ = nullptr;
};

std::unique_ptr<Network> make_xception(const std::string&, int classes) {
  return std::make_unique<Xception>(classes);
}

std::optional<std::string> guess_xception(const std::map<std::string, Shape>& file_shapes) {
  const auto stem = file_shapes.find("conv1.weight");
  const auto first = file_shapes.find("block1.rep.0.pointwise.weight");
  const bool fits = stem != file_shapes.end() && stem->second == Shape{32, 3, 3, 3} &&
                    first != file_shapes.end() && first->second == Shape{128, 64, 1, 1};
  return fits ? std::optional(xception_name) : std::nullopt;
}

}  // namespace

const ArchitectureFamily xceptions = {[] { return std::vector{xception_name}; }, make_xception,
                                      guess_xception};

}  // namespace reprise::layers
