// Layers without parameters: pooling, ReLU, ReLU6, dropout, flatten.
#pragma once

#include "engine/kernels/args.h"
#include "layers/module.h"

namespace reprise::layers {

// Takes the maximum of each window: (N,H,W,C) -> (N,OH,OW,C). Padding is never the maximum.
class REPRISE_API MaxPool2d : public Module {
 public:
  using Options = Pool2dArgs;
  explicit MaxPool2d(const Pool2dArgs& a = {}) : args(a) {}
  explicit MaxPool2d(int kernel) : args(Pool2dArgs::square(kernel)) {}
  Tensor forward(const Tensor& x) override;
  std::string_view type() const override { return "MaxPool2d"; }
  std::int64_t flops(const Shape& x, const Shape& y) const override;
  const Pool2dArgs args;
};

// Takes the mean of each window: (N,H,W,C) -> (N,OH,OW,C).
// args.count_include_pad says whether padding counts.
class REPRISE_API AvgPool2d : public Module {
 public:
  using Options = Pool2dArgs;
  explicit AvgPool2d(const Pool2dArgs& a = {}) : args(a) {}
  explicit AvgPool2d(int kernel) : args(Pool2dArgs::square(kernel)) {}
  Tensor forward(const Tensor& x) override;
  std::string_view type() const override { return "AvgPool2d"; }
  std::int64_t flops(const Shape& x, const Shape& y) const override;
  const Pool2dArgs args;
};

// Takes the mean over all pixels of an image: (N,H,W,C) -> (N,C).
class REPRISE_API GlobalAvgPool : public Module {
 public:
  Tensor forward(const Tensor& x) override;
  std::string_view type() const override { return "GlobalAvgPool"; }
  std::int64_t flops(const Shape& x, const Shape& y) const override;
};

// Computes max(x, 0), element by element.
class REPRISE_API ReLU : public Module {
 public:
  Tensor forward(const Tensor& x) override;
  std::string_view type() const override { return "ReLU"; }
  std::int64_t flops(const Shape& x, const Shape& y) const override;
};

// Computes min(max(x, 0), 6), element by element.
class REPRISE_API ReLU6 : public ReLU {
 public:
  Tensor forward(const Tensor& x) override;
  std::string_view type() const override { return "ReLU6"; }
};

// In training, sets each element to 0 with probability p and scales the others by 1 / (1 - p). The
// numbers of a call come from the stream of `seed`, the layer's path and the call's number.
class REPRISE_API Dropout : public Module {
 public:
  explicit Dropout(double probability = 0.5, std::uint64_t s = 0) : p(probability), seed(s) {}
  Tensor forward(const Tensor& x) override;
  std::string_view type() const override { return "Dropout"; }
  const double p;
  const std::uint64_t seed;
  std::uint64_t calls = 0;  // calls in training until now; a resumed run restores it
};

// Reshapes (N,...) to (N, product of the rest).
// An image's values are in the order H, W, C; PyTorch's are in the order C, H, W. So the weight of
// a linear layer after Flatten has other columns than in a file. load_state_dict and state_dict
// turn them, for which they need the image's shape (H,W,C).
class REPRISE_API Flatten : public Module {
 public:
  using Options = Shape;
  explicit Flatten(const Shape& image_shape = {}) : image(image_shape) {}
  Tensor forward(const Tensor& x) override;
  std::string_view type() const override { return "Flatten"; }
  const Shape image;  // (H,W,C), which the input must have then; of rank 0 if not told
};

}  // namespace reprise::layers
