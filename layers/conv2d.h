// A convolution, and the place behind it where a reprogramming layer may stand.
#pragma once

#include <memory>
#include <vector>

#include "engine/kernels/args.h"
#include "layers/module.h"

namespace reprise::layers {

// What stands behind a frozen convolution; layers/reprogramming has the methods.
class REPRISE_API Reprogram : public Module {
 public:
  // The block's output, from the convolution's input x (N,H,W,I) and its output y (N,OH,OW,O).
  Tensor operator()(const Tensor& x, const Tensor& y);
  virtual Tensor apply(const Tensor& x, const Tensor& y) = 0;
  // Without the convolution's input, for those that look at its output alone.
  Tensor forward(const Tensor& y) final { return apply({}, y); }
  // The name under which it stands in its convolution: "<conv>.reprogram.weight".
  virtual std::string_view name() const { return "reprogram"; }
  // The depthwise filter (R,S,C), odd and applied with "same" padding, that this layer is no more than; a
  // fused op applies it then. Undefined: it is something else.
  virtual Tensor block_filter() const { return {}; }
  // Those of its tensors that the penalty counts: all, unless said otherwise.
  virtual std::vector<Tensor> penalised();
};

struct Conv2dOptions {
  int stride = 1, padding = 0, dilation = 1, groups = 1;
  bool bias = true;
  Init init = Init::kaiming_uniform;
};

// x (N,H,W,in) -> (N,OH,OW,out). weight (out,kernel,kernel,in/groups); where every channel is a group of its
// own (a depthwise convolution) weight (kernel,kernel,out). bias (out) or undefined.
class REPRISE_API Conv2d : public Module {
 public:
  Conv2d(int in, int out, int kernel, const Conv2dOptions& options = {});
  Tensor forward(const Tensor& x) override;
  // Without the reprogramming layer behind it.
  Tensor convolve(const Tensor& x) const;
  std::string_view type() const override { return "Conv2d"; }
  std::int64_t flops(const Shape& x, const Shape& y) const override;
  void reset_parameters(const InitStreams& streams) override;

  int in_channels() const { return in_; }
  int out_channels() const { return out_; }
  int kernel() const { return kernel_; }
  bool is_pointwise() const { return kernel_ == 1; }
  bool is_depthwise() const { return args.groups > 1 && args.groups == in_ && in_ == out_; }

  // Puts a reprogramming layer behind the convolution, as its child; null takes it away.
  void set_reprogram(std::unique_ptr<Reprogram> reprogram);
  Reprogram* reprogram() const { return reprogram_; }

  Tensor weight, bias;
  const Conv2dArgs args;

 private:
  int in_, out_, kernel_;
  Init init_;
  Reprogram* reprogram_ = nullptr;
};

}  // namespace reprise::layers
