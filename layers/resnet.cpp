// Residual networks (He et al., 2015): torchvision's for 224x224, and those for CIFAR at 32x32
// with shortcuts of option A. ResNeXt (Xie et al., 2016) and Wide ResNet (Zagoruyko and Komodakis,
// 2016) are ResNets with other 3x3 convolutions. Names and shapes are those of the published weights.
#include <algorithm>
#include <array>
#include <set>

#include "engine/base/check.h"
#include "engine/ops/layout.h"
#include "layers/architectures.h"
#include "layers/conv_bn.h"
#include "layers/sequential.h"
#include "layers/simple.h"

namespace reprise::layers {
namespace {

enum class Family : std::uint8_t { basic, bottleneck, cifar };
struct Spec {
  std::string name;
  Family family;
  std::vector<int> blocks;  // per stage
  // Of a bottleneck's 3x3 convolution: its groups, and their channels in the first stage.
  int groups = 1, group_width = 64;
};
const std::vector<Spec>& specs() {
  static const std::vector<Spec> all = {
      {"resnet18", Family::basic, {2, 2, 2, 2}},
      {"resnet34", Family::basic, {3, 4, 6, 3}},
      {"resnet50", Family::bottleneck, {3, 4, 6, 3}},
      {"resnet101", Family::bottleneck, {3, 4, 23, 3}},
      {"resnet152", Family::bottleneck, {3, 8, 36, 3}},
      {"resnet20", Family::cifar, {3, 3, 3}},
      {"resnet32", Family::cifar, {5, 5, 5}},
      {"resnet44", Family::cifar, {7, 7, 7}},
      {"resnet56", Family::cifar, {9, 9, 9}},
      {"resnet110", Family::cifar, {18, 18, 18}},
      {"resnext50_32x4d", Family::bottleneck, {3, 4, 6, 3}, 32, 4},
      {"resnext101_32x8d", Family::bottleneck, {3, 4, 23, 3}, 32, 8},
      {"wide_resnet50_2", Family::bottleneck, {3, 4, 6, 3}, 1, 128},
      {"wide_resnet101_2", Family::bottleneck, {3, 4, 23, 3}, 1, 128},
  };
  return all;
}

Conv2dOptions conv_options(Family family, int kernel, int stride, int groups = 1) {
  return {.stride = stride,
          .padding = kernel / 2,
          .groups = groups,
          .bias = false,
          .init = family == Family::cifar ? Init::kaiming_normal_fan_in : Init::kaiming_normal_fan_out};
}

// The convolution and batch norm of a shortcut that changes shapes.
class Downsample : public Sequential {
 public:
  Downsample(Family family, int in, int out, int stride)
      : conv_(add<Conv2d>(in, out, 1, conv_options(family, 1, stride))), bn_(add<BatchNorm2d>(out)) {}
  Tensor forward(const Tensor& x) override { return conv_bn(conv_, bn_, x, {}, Activation::none); }

 private:
  Conv2d& conv_;
  BatchNorm2d& bn_;
};

// Option A of the paper, a shortcut without parameters: takes every stride-th pixel and pads the
// channels with zeros, half of them before the old channels and half after.
class OptionAShortcut : public Module {
 public:
  OptionAShortcut(int in, int out, int stride) : stride_(stride), added_(out - in) {}
  std::string_view type() const override { return "OptionAShortcut"; }
  Tensor forward(const Tensor& x) override {
    const Tensor thinned = ops::stride_slice(x, {0, 0, 0, 0}, {1, stride_, stride_, 1});
    return ops::pad(thinned, {{0, 0}, {0, 0}, {0, 0}, {added_ / 2, added_ - added_ / 2}});
  }

 private:
  int stride_, added_;
};

// Two 3x3 convolutions and a shortcut.
class BasicBlock : public Module {
 public:
  BasicBlock(Family family, int in, int width, int stride)
      : conv1_(child<Conv2d>("conv1", in, width, 3, conv_options(family, 3, stride))),
        bn1_(child<BatchNorm2d>("bn1", width)),
        conv2_(child<Conv2d>("conv2", width, width, 3, conv_options(family, 3, 1))),
        bn2_(child<BatchNorm2d>("bn2", width)) {
    if (stride == 1 && in == width) return;
    if (family == Family::cifar) {
      shortcut_ = &child<OptionAShortcut>("shortcut", in, width, stride);
    } else {
      shortcut_ = &child<Downsample>("downsample", family, in, width, stride);
    }
  }
  std::string_view type() const override { return "BasicBlock"; }
  Tensor forward(const Tensor& x) override {
    const Tensor h = conv_bn(conv1_, bn1_, x);
    return conv_bn(conv2_, bn2_, h, shortcut_ != nullptr ? (*shortcut_)(x) : x);
  }

 private:
  Conv2d& conv1_;
  BatchNorm2d& bn1_;
  Conv2d& conv2_;
  BatchNorm2d& bn2_;
  Module* shortcut_ = nullptr;
};

// A 1x1 convolution down to `width` channels, a 3x3 with the stride (as in torchvision), a 1x1 up
// to `out` channels, and a shortcut.
class Bottleneck : public Module {
 public:
  Bottleneck(int in, int width, int out, int stride, int groups)
      : conv1_(child<Conv2d>("conv1", in, width, 1, conv_options(Family::bottleneck, 1, 1))),
        bn1_(child<BatchNorm2d>("bn1", width)),
        conv2_(child<Conv2d>("conv2", width, width, 3, conv_options(Family::bottleneck, 3, stride, groups))),
        bn2_(child<BatchNorm2d>("bn2", width)),
        conv3_(child<Conv2d>("conv3", width, out, 1, conv_options(Family::bottleneck, 1, 1))),
        bn3_(child<BatchNorm2d>("bn3", out)) {
    if (stride == 1 && in == out) return;
    downsample_ = &child<Downsample>("downsample", Family::bottleneck, in, out, stride);
  }
  std::string_view type() const override { return "Bottleneck"; }
  Tensor forward(const Tensor& x) override {
    const Tensor h = conv_bn(conv2_, bn2_, conv_bn(conv1_, bn1_, x));
    return conv_bn(conv3_, bn3_, h, downsample_ != nullptr ? (*downsample_)(x) : x);
  }

 private:
  Conv2d& conv1_;
  BatchNorm2d& bn1_;
  Conv2d& conv2_;
  BatchNorm2d& bn2_;
  Conv2d& conv3_;
  BatchNorm2d& bn3_;
  Downsample* downsample_ = nullptr;
};

class ResNet : public Network {
 public:
  ResNet(const Spec& spec, int classes)
      : spec_(spec),
        conv1_(child<Conv2d>("conv1", 3, stem_width(), is_cifar() ? 3 : 7,
                             conv_options(spec.family, is_cifar() ? 3 : 7, is_cifar() ? 1 : 2))),
        bn1_(child<BatchNorm2d>("bn1", stem_width())) {
    if (!is_cifar()) maxpool_ = &child<MaxPool2d>("maxpool", Pool2dArgs{{3, 3}, {2, 2}, {1, 1}});
    int in = stem_width();
    for (std::size_t s = 0; s < spec.blocks.size(); ++s) {
      auto& stage = child<Sequential>("layer" + std::to_string(s + 1));
      stages_.push_back(&stage);
      const int width = stem_width() << s;
      for (int b = 0; b < spec.blocks[s]; ++b) {
        const int stride = b == 0 && s > 0 ? 2 : 1;
        if (spec.family == Family::bottleneck)
          stage.add<Bottleneck>(in, (spec.groups * spec.group_width) << s, 4 * width, stride, spec.groups);
        else
          stage.add<BasicBlock>(spec.family, in, width, stride);
        in = spec.family == Family::bottleneck ? 4 * width : width;
      }
    }
    avgpool_ = &child<GlobalAvgPool>("avgpool");
    head_ = &child<Linear>(is_cifar() ? "linear" : "fc", in, classes, true,
                           is_cifar() ? Init::kaiming_normal_fan_in : Init::kaiming_uniform);
  }

  Tensor features(const Tensor& x) override {
    Tensor h = conv_bn(conv1_, bn1_, x);
    if (maxpool_ != nullptr) h = (*maxpool_)(h);
    for (Sequential* stage : stages_) h = (*stage)(h);
    return (*avgpool_)(h);
  }
  const std::string& arch() const override { return spec_.name; }
  int default_size() const override { return is_cifar() ? 32 : 224; }
  int default_classes() const override { return is_cifar() ? 10 : 1000; }

 private:
  bool is_cifar() const { return spec_.family == Family::cifar; }
  int stem_width() const { return is_cifar() ? 16 : 64; }

  const Spec& spec_;
  Conv2d& conv1_;
  BatchNorm2d& bn1_;
  MaxPool2d* maxpool_ = nullptr;
  std::vector<Sequential*> stages_;
  GlobalAvgPool* avgpool_ = nullptr;
};

// Counts the blocks of each stage in a file: the distinct "layer<s>.<b>." among its names.
std::array<int, 4> count_blocks(const std::map<std::string, Shape>& file_shapes) {
  std::array<std::set<std::string>, 4> found;
  for (const auto& [name, shape] : file_shapes) {
    if (name.size() < 8 || !name.starts_with("layer") || name[6] != '.') continue;
    const int stage = name[5] - '1';
    const auto end = name.find('.', 7);
    if (stage >= 0 && stage < 4 && end != std::string::npos)
      found[static_cast<std::size_t>(stage)].insert(name.substr(7, end - 7));
  }
  std::array<int, 4> count{};
  for (std::size_t s = 0; s < 4; ++s) count[s] = static_cast<int>(found[s].size());
  return count;
}

std::unique_ptr<Network> make_resnet(const std::string& arch, int classes) {
  const auto spec =
      std::find_if(specs().begin(), specs().end(), [&](const Spec& s) { return s.name == arch; });
  REPRISE_INVARIANT(spec != specs().end(), "{} is no ResNet", arch);
  return std::make_unique<ResNet>(*spec, classes);
}

std::vector<std::string> resnet_names() {
  std::vector<std::string> names;
  for (const Spec& s : specs()) names.push_back(s.name);
  return names;
}

std::optional<std::string> guess_resnet(const std::map<std::string, Shape>& file_shapes) {
  const auto stem = file_shapes.find("conv1.weight");
  if (stem == file_shapes.end()) return std::nullopt;
  Family family = Family::basic;
  if (stem->second == Shape{16, 3, 3, 3})
    family = Family::cifar;
  else if (stem->second != Shape{64, 3, 7, 7})
    return std::nullopt;
  else if (file_shapes.contains("layer1.0.conv3.weight"))
    family = Family::bottleneck;

  const auto middle =
      family == Family::bottleneck ? file_shapes.find("layer1.0.conv2.weight") : file_shapes.end();
  const std::array<int, 4> count = count_blocks(file_shapes);
  std::optional<std::string> best;
  std::size_t best_equal = 0;
  bool unique = false;
  for (const Spec& s : specs()) {
    const Shape filter{s.groups * s.group_width, s.group_width, 3, 3};  // of the first block's 3x3
    if (s.family != family || (middle != file_shapes.end() && middle->second != filter)) continue;
    std::size_t equal = 0;
    bool fits = true;
    for (std::size_t i = 0; i < 4; ++i) {
      const int expected = i < s.blocks.size() ? s.blocks[i] : 0;
      fits &= count[i] <= expected;
      equal += count[i] == expected;
    }
    if (!fits || equal < best_equal) continue;
    unique = equal > best_equal;
    best = s.name;
    best_equal = equal;
  }
  return unique && best_equal >= 2 ? best : std::nullopt;
}

}  // namespace

const ArchitectureFamily resnets = {resnet_names, make_resnet, guess_resnet};

}  // namespace reprise::layers
