#include "engine/ops/conv_block.h"

#include "engine/cases/cases.h"
#include "engine/ops/arithmetic.h"
#include "engine/ops/conv2d.h"

namespace reprise::cases {
namespace {

// The parameters of a case, and its block for given inputs. The inputs are x, w (with w=5x3x3x3),
// filter (f=3x3), gamma, beta, residual (res=1), mean and var (given=true), in this order.
struct Setup {
  ConvBlockArgs args;
  bool convolves, filter, residual, given, sealed;
  Shape y;

  ops::ConvBlock block(const Tensor& x, const std::vector<Tensor>& in) const {
    std::size_t next = 1;
    ops::ConvBlock b{.x = x, .args = args};
    if (convolves) b.w = sealed ? in[next].sealed_copy() : in[next], ++next;
    if (filter) b.filter = in[next++];
    b.gamma = in[next++];
    b.beta = in[next++];
    if (residual) b.residual = in[next++];
    return b;
  }
};

// relu=0: none, relu=1: ReLU, relu=6: ReLU6.
Activation activation_of(int relu) {
  return relu == 0 ? Activation::none : relu == 6 ? Activation::relu6 : Activation::relu;
}

Setup add_inputs(Case& c, const Params& p, bool given) {
  const Shape x = p.shape("x"), w = p.has("w") ? p.shape("w") : Shape{};
  const Conv2dArgs conv{p.pair("stride", 1), p.pair("pad", 0), {1, 1}, p.integer("convgroups", 1)};
  Setup d{{.conv = conv, .eps = p.number("eps", 1e-5), .activation = activation_of(p.integer("relu", 1))},
          p.has("w"),
          p.has("f"),
          p.integer("res", 0) == 1,
          given,
          p.integer("sealed", 1) == 1,
          x};
  if (d.convolves) d.y = {x[0], conv.out_size(0, x[1], w[1]), conv.out_size(1, x[2], w[2]), w[0]};
  const Shape row{d.y[3]};
  c.normal("x", x);
  // frozen=1: the input wants no gradient, as at the first convolution of a network.
  if (p.integer("frozen", 0) == 1) c.inputs.back().constant();
  if (d.convolves) c.normal("w", w).as_parameter().constant();
  if (d.filter) {
    const Shape size = p.shape("f");
    c.normal("filter", {size[0], size[1], row[0]}).as_parameter();
  }
  c.uniform("gamma", row, 0.5, d.args.activation == Activation::relu6 ? 6 : 2).as_parameter();
  c.normal("beta", row).as_parameter();
  if (d.residual) c.normal("residual", d.y);
  if (given) {
    c.normal("mean", row).constant().as_parameter();
    c.uniform("var", row, 0.25, 4).constant().as_parameter();
  }
  // In bf16, rounding may move a value across the ReLU's edge. conv_block_test.cpp compares such
  // values with those of the parts.
  c.bf16_roundings = d.args.activation == Activation::none ? 3 : 0;
  c.tolerance = 5e-6;
  return d;
}

std::vector<std::string> with_convolution(std::vector<std::string> more) {
  std::vector<std::string> all{
      "x=2x7x5x1 f=3x3",
      "x=2x7x5x3 f=3x3 res=1",
      "x=3x5x4x35 f=3x3",
      "x=3x5x4x35 f=3x3 relu=0",
      "x=3x5x4x35 f=3x3 relu=0 res=1",
      "x=3x5x4x35",
      "x=3x5x4x35 res=1",
      "x=3x5x4x35 relu=0",
      "x=3x5x4x35 f=3x3 relu=6 res=1",
      "x=2x7x5x3 relu=6",
      "x=2x5x7x12 f=3x3 relu=6",
      "x=2x3x5x12 f=1x1 res=1",
      "x=2x6x5x17 f=5x3",
      "x=2x1x1x3 f=3x3",
      "x=3x3x7x35 f=3x3 res=1",
      "x=2x7x5x19 f=3x3 frozen=1",
      "x=2x7x5x19 f=3x3 eps=0.1",
      "x=3x19x5x8 f=3x3 res=1",  // vectors of channels
      "x=2x5x7x12 f=3x3 relu=0",
      "x=2x6x5x24 f=5x3",
      "x=2x28x28x64 f=3x3 res=1",  // real networks
      "x=3x14x14x256 f=3x3",
      "x=5x7x7x512 f=3x3 res=1",
      "x=2x56x56x64 f=3x3",  // chunks that begin inside an image
      "x=2x14x14x1024 res=1",
  };
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

// sealed=0: the filter is not sealed.   twice=1: x has another use, whose gradient comes first.
const OpCases conv_block("conv_block",
                         with_convolution({
                             "x=2x7x5x3 w=5x1x1x3",
                             "x=2x7x5x3 w=5x3x3x3 pad=1",
                             "x=2x7x5x35 w=33x1x1x35 res=1",
                             "x=2x7x5x35 w=33x1x1x35 res=1 twice=1",
                             "x=2x7x5x19 w=70x1x1x19 relu=0",
                             "x=3x9x8x17 w=40x1x1x17 stride=2",
                             "x=3x9x8x17 w=40x1x1x17 stride=2 twice=1",
                             "x=3x4x9x17 w=40x1x1x17 stride=4x3 res=1",
                             "x=6x5x6x8 w=20x1x1x8 res=1",
                             "x=2x6x5x8 w=6x1x1x4 convgroups=2",
                             "x=2x6x5x8 w=6x3x3x4 convgroups=2 f=3x3 pad=1",
                             "x=2x1x1x64 w=3x1x1x64",
                             "x=2x7x5x19 w=33x1x1x19 frozen=1 res=1",
                             "x=2x56x56x64 w=96x1x1x64 res=1",  // real networks
                             "x=2x14x14x64 w=1024x1x1x64 twice=1",
                             "x=3x7x7x64 w=2048x1x1x64 res=1",
                             "x=2x7x5x3 w=5x3x3x3 pad=1 f=3x3",
                             "x=2x7x5x19 w=33x3x3x19 pad=1 f=3x3 res=1 twice=1",
                             "x=3x9x8x17 w=40x1x1x17 stride=2 f=5x3 relu=0",
                             "x=2x8x9x16 w=16x3x3x16 pad=1 f=3x3",  // Winograd's form
                             "x=2x14x13x3 w=19x7x7x3 stride=2 pad=3 f=3x3 frozen=1",
                             "x=2x9x8x17 w=40x3x3x17 pad=1 f=3x3 sealed=0",
                         }),
                         [](Case& c, const Params& p) {
                           const Setup d = add_inputs(c, p, false);
                           const bool twice = p.integer("twice", 0) == 1;
                           if (twice)
                             c.normal("v", {d.y[3], 1, 1, p.shape("x")[3]}).as_parameter().constant();
                           c.run = [d, twice](const std::vector<Tensor>& in) {
                             const Tensor h = twice ? ops::affine(in[0], 2, 0) : in[0];  // not a leaf
                             auto [z, mean, var] = ops::conv_block(d.block(h, in));
                             if (twice)
                               z = ops::add(z, ops::conv2d(h, in.back(), {.stride = d.args.conv.stride}));
                             return std::vector{z, mean, var};
                           };
                           // With two values a channel the gradient's terms nearly cancel.
                           if (d.y.numel() == 2 * d.y[3]) c.terms = 1;
                           // A filter of one tap is undone by batch norm: its terms cancel too.
                           if (p.has("f") && p.shape("f").numel() == 1)
                             c.terms = static_cast<double>(d.y.numel() / d.y[3]);
                         });

// infer=1: nothing wants a gradient, so the kernel computes the convolution too.
const OpCases conv_block_eval("conv_block_eval",
                              with_convolution({
                                  "x=2x7x5x3 w=5x3x3x3 pad=1 f=3x3 res=1",
                                  "x=2x7x5x3 w=5x3x3x3 pad=1 f=3x3 infer=1",
                                  "x=2x7x5x3 w=5x3x3x3 pad=1 infer=1",
                                  "x=2x7x5x35 w=33x1x1x35 res=1 infer=1",
                                  "x=2x7x5x35 w=33x1x1x35 res=1 relu=0 infer=1",
                                  "x=2x7x5x19 w=70x1x1x19 relu=0 sealed=0 infer=1",
                                  "x=3x9x8x17 w=40x1x1x17 stride=2 infer=1",
                                  "x=3x9x8x16 w=40x3x3x16 stride=2 pad=1 res=1 infer=1",
                                  "x=2x7x5x35 w=33x1x1x35 res=1 relu=6 infer=1",
                                  "x=2x8x9x16 w=16x3x3x16 pad=1 res=1 infer=1",  // Winograd's form
                                  "x=2x10x9x8 w=6x3x3x4 convgroups=2 pad=1 res=1 infer=1",
                                  "x=1x1x1x64 w=3x1x1x64 infer=1",
                                  "x=2x56x56x64 w=96x1x1x64 res=1 infer=1",  // real networks
                                  "x=2x14x14x1024 w=64x1x1x1024 infer=1",
                                  "x=3x7x7x64 w=256x1x1x64 res=1 infer=1",
                                  "x=2x6x5x256 w=330x1x1x256 res=1 infer=1",
                              }),
                              [](Case& c, const Params& p) {
                                const Setup d = add_inputs(c, p, true);
                                if (p.integer("infer", 0) == 1)
                                  for (Input& input : c.inputs) input.constant();
                                c.run = [d](const std::vector<Tensor>& in) {
                                  const std::size_t n = in.size();
                                  return std::vector{
                                      ops::conv_block_eval(d.block(in[0], in), in[n - 2], in[n - 1])};
                                };
                              });

}  // namespace

std::vector<OpCases> conv_block_cases() {
  return {conv_block, conv_block_eval};
}

}  // namespace reprise::cases
