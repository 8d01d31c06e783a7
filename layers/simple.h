// Layers without parameters: pooling, ReLU, flatten.
#pragma once

#include "engine/kernels/args.h"
#include "layers/module.h"

namespace reprise::layers {

// (N,H,W,C) -> (N,OH,OW,C): the largest value of each window; padding never wins.
class REPRISE_API MaxPool2d : public Module {
 public:
  explicit MaxPool2d(const Pool2dArgs& a = {}) : args(a) {}
  Tensor forward(const Tensor& x) override;
  std::string_view type() const override { return "MaxPool2d"; }
  std::int64_t flops(const Shape& x, const Shape& y) const override;
  const Pool2dArgs args;
};

// (N,H,W,C) -> (N,OH,OW,C): the mean of each window.
class REPRISE_API AvgPool2d : public Module {
 public:
  explicit AvgPool2d(const Pool2dArgs& a = {}) : args(a) {}
  Tensor forward(const Tensor& x) override;
  std::string_view type() const override { return "AvgPool2d"; }
  std::int64_t flops(const Shape& x, const Shape& y) const override;
  const Pool2dArgs args;
};

// (N,H,W,C) -> (N,C): the mean over the whole image.
class REPRISE_API GlobalAvgPool : public Module {
 public:
  Tensor forward(const Tensor& x) override;
  std::string_view type() const override { return "GlobalAvgPool"; }
  std::int64_t flops(const Shape& x, const Shape& y) const override;
};

class REPRISE_API ReLU : public Module {
 public:
  Tensor forward(const Tensor& x) override;
  std::string_view type() const override { return "ReLU"; }
  std::int64_t flops(const Shape& x, const Shape& y) const override;
};

// (N,...) -> (N, all the rest) in memory order: an image's values come H, W, C, where PyTorch has C, H, W.
class REPRISE_API Flatten : public Module {
 public:
  Tensor forward(const Tensor& x) override;
  std::string_view type() const override { return "Flatten"; }
};

}  // namespace reprise::layers
