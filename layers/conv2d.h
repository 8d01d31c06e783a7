// A convolution, and the reprogramming layer that may follow it.
#pragma once

#include <memory>
#include <vector>

#include "engine/kernels/args.h"
#include "layers/module.h"

namespace reprise::layers {

// A reprogramming layer: it follows a frozen convolution and replaces its output
// by a trained function of the convolution's input x (N,H,W,I) and output y (N,OH,OW,O).
// layers/reprogramming has the implementations.
class REPRISE_API Reprogram : public Module {
 public:
  // Calls apply. Errors name this module's path, and observers see the result.
  Tensor operator()(const Tensor& x, const Tensor& y);
  // Computes the new output, (N,OH,OW,O) like y.
  virtual Tensor apply(const Tensor& x, const Tensor& y) = 0;
  // Applies a layer that does not use x.
  Tensor forward(const Tensor& y) final { return apply({}, y); }
  // Returns the layer's name as a child of its convolution, as in "conv1.reprogram.weight".
  virtual std::string_view name() const { return "reprogram"; }
  // If the whole layer is a depthwise convolution with stride 1, "same" padding and an odd kernel,
  // returns its filter (R,S,C), which the fused op then applies. Else returns an undefined tensor.
  virtual Tensor block_filter() const { return {}; }
  // Returns the tensors that the penalty counts: all of the layer's own, unless overridden.
  virtual std::vector<Tensor> penalised();
};

// The options of Conv2d, equal along both axes (Conv2dArgs), and the distribution of start values.
struct Conv2dOptions {
  int stride = 1, padding = 0, dilation = 1, groups = 1;
  bool bias = true;
  Init init = Init::kaiming_uniform;
};

// Convolves with a square kernel: x (N,H,W,in) -> y (N,OH,OW,out). The reprogramming layer, if any,
// is then applied to y. weight is (out,kernel,kernel,in/groups); a depthwise convolution, in which
// every channel is its own group (groups == in == out), has weight (kernel,kernel,out).
// bias is (out), or undefined without a bias.
class REPRISE_API Conv2d : public Module {
 public:
  using Options = Conv2dOptions;
  // Throws Error unless all sizes are at least 1 and `groups` divides both numbers of channels.
  Conv2d(int in, int out, int kernel, const Conv2dOptions& options = {});
  Tensor forward(const Tensor& x) override;
  // Computes the convolution and its bias, without the reprogramming layer.
  Tensor convolve(const Tensor& x) const;
  std::string_view type() const override { return "Conv2d"; }
  std::int64_t flops(const Shape& x, const Shape& y) const override;
  void reset_parameters(const InitStreams& streams) override;

  int in_channels() const { return in_; }
  int out_channels() const { return out_; }
  int kernel() const { return kernel_; }
  bool is_pointwise() const { return kernel_ == 1; }
  bool is_depthwise() const { return args.groups > 1 && args.groups == in_ && in_ == out_; }

  // Makes `reprogram` the layer after this convolution, as its child, in place of an earlier one.
  // Null removes the earlier one.
  void set_reprogram(std::unique_ptr<Reprogram> reprogram);
  Reprogram* reprogram() const { return reprogram_; }  // null without one; owned by this convolution

  Tensor weight, bias;
  const Conv2dArgs args;

 private:
  int in_, out_, kernel_;
  Init init_;
  Reprogram* reprogram_ = nullptr;
};

}  // namespace reprise::layers
