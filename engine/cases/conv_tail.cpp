#include "engine/ops/conv_tail.h"

#include "engine/autograd/autograd.h"
#include "engine/cases/cases.h"
#include "engine/ops/arithmetic.h"
#include "engine/ops/conv2d.h"

namespace reprise::cases {
namespace {

// The inputs after x, in this order where they are there: filter (w=3x5: its size), gamma, beta, residual
// (res=1); groups=T: (T,C). k=3: a max pool of that size. negative=1: a gamma below 0.
struct Drawn {
  bool filter, residual;
  ConvTailArgs args;
  std::optional<Pool2dArgs> max_pool = {};

  ops::ConvTail tail(const std::vector<Tensor>& in, std::size_t next) const {
    ops::ConvTail t;
    t.args = args;
    t.max_pool = max_pool;
    if (filter) t.filter = in[next++];
    t.gamma = in[next++];
    t.beta = in[next++];
    if (residual) t.residual = in[next++];
    return t;
  }
};

Drawn draw(Case& c, const Params& p) {
  const Shape x = p.shape("x");
  const std::int64_t groups = p.integer("groups", 0);
  const auto row = [&](Shape shape) { return groups == 0 ? shape : shape.prepend(groups); };
  Drawn d{p.has("w"),
          p.integer("res", 0) == 1,
          {.eps = p.number("eps", 1e-5), .relu = p.integer("relu", 1) == 1}};
  if (p.has("k"))
    d.max_pool = {.kernel = p.pair("k", 2), .stride = p.pair("stride", 2), .padding = p.pair("pad", 0)};
  // frozen=1: the input wants no gradient, as at the stem of a network.
  const bool frozen = p.integer("frozen", 0) == 1;
  if (frozen) c.inputs.back().constant();
  if (d.filter) {
    const Shape size = p.shape("w");
    c.normal("filter", row({size[0], size[1], x[3]})).as_parameter();
  }
  const bool negative = p.integer("negative", 0) == 1;
  c.uniform("gamma", row({x[3]}), negative ? -2 : 0.5, negative ? -0.5 : 2).as_parameter();
  c.normal("beta", row({x[3]})).as_parameter();
  if (d.residual) c.normal("residual", x);
  // A rounding may carry a value over the ReLU's edge, or past another in its window; those are compared with
  // their parts, in conv_tail_test.cpp.
  c.bf16_roundings = d.args.relu || d.max_pool ? 0 : 3;
  return d;
}

const std::vector<std::string> cases{
    "x=2x7x5x1 w=3x3",
    "x=2x7x5x3 w=3x3 res=1",
    "x=3x5x4x35 w=3x3",
    "x=3x5x4x35 w=3x3 relu=0",
    "x=3x5x4x35 w=3x3 relu=0 res=1",
    "x=3x5x4x35",
    "x=3x5x4x35 res=1",
    "x=3x5x4x35 relu=0",
    "x=2x3x5x12 w=1x1 res=1",
    "x=2x6x5x17 w=5x3",
    "x=2x1x1x3 w=3x3",
    "x=6x5x4x3 w=3x3 groups=3",
    "x=3x3x7x35 w=3x3 groups=3 res=1",
    "x=3x4x3x20 groups=3 res=1",
    "x=2x7x5x19 w=3x3 frozen=1",
    "x=2x7x5x19 w=3x3 eps=0.1",
    "x=2x28x28x64 w=3x3 res=1",  // real networks
    "x=3x14x14x256 w=3x3 groups=3",
    "x=5x7x7x512 w=3x3 res=1",
    "x=2x56x56x64 w=3x3",  // chunks that begin inside an image
    "x=2x14x14x1024 res=1",
    "x=2x7x5x3 w=3x3 k=2",
    "x=2x9x8x19 w=3x3 k=3 pad=1",
    "x=3x6x7x35 k=3x2 stride=1x2 pad=1x0",
    "x=2x11x6x5 w=3x3 k=2 stride=4x3",  // rows that no window sees
    "x=6x5x4x3 w=3x3 groups=3 k=3 pad=1",
    "x=2x9x8x19 w=3x3 k=3 pad=1 frozen=1",
    "x=2x9x8x19 w=3x3 k=3 pad=1 relu=0",
    "x=2x9x8x19 w=3x3 k=3 pad=1 negative=1",
    "x=2x56x56x64 w=3x3 k=3 pad=1",
};

const OpCases conv_tail("conv_tail", cases, [](Case& c, const Params& p) {
  c.normal("x", p.shape("x"));
  const Drawn d = draw(c, p);
  c.run = [d](const std::vector<Tensor>& in) {
    const auto [y, mean, var] = ops::conv_tail(in[0], d.tail(in, 1));
    return std::vector{y, mean, var};
  };
  c.tolerance = 5e-6;
  // With two values the terms of a gradient cancel to next to nothing.
  if (p.shape("x").numel() == 2 * p.shape("x")[-1]) c.terms = 1;
  // And with one tap, which batch norm undoes, those of its gradient do.
  if (d.filter && c.inputs[1].value.numel() == p.shape("x")[-1])
    c.terms = static_cast<double>(p.shape("x").numel() / p.shape("x")[-1]);
});

const OpCases conv_tail_eval("conv_tail_eval", cases, [](Case& c, const Params& p) {
  c.normal("x", p.shape("x"));
  const Drawn d = draw(c, p);
  const Shape row = c.inputs[d.filter ? 2 : 1].value.shape();
  c.normal("mean", row).constant().as_parameter();
  c.uniform("var", row, 0.25, 4).constant().as_parameter();
  c.run = [d](const std::vector<Tensor>& in) {
    const std::size_t n = in.size();
    return std::vector{ops::conv_tail_eval(in[0], in[n - 2], in[n - 1], d.tail(in, 1))};
  };
  c.tolerance = 3e-6;
});

// A frozen convolution with what stands behind it: x, w, filter (f=3x3), gamma, beta, residual. mk=3 ms=2
// mp=1: a max pool.
struct Convolved {
  Conv2dArgs conv;
  Drawn tail;
  Shape row, y;
};

Convolved draw_convolved(Case& c, const Params& p) {
  const Shape x = p.shape("x"), w = p.shape("w");
  const std::int64_t groups = p.integer("groups", 0);
  Convolved d;
  d.conv = {p.pair("stride", 1), p.pair("pad", 0), {1, 1}, p.integer("convgroups", 1)};
  d.tail = {p.has("f"), p.integer("res", 0) == 1, {.relu = p.integer("relu", 1) == 1}};
  if (p.has("mk"))
    d.tail.max_pool = {.kernel = p.pair("mk", 2), .stride = p.pair("ms", 2), .padding = p.pair("mp", 0)};
  d.row = groups == 0 ? Shape{w[0]} : Shape{groups, w[0]};
  d.y = {x[0], d.conv.out_size(0, x[1], w[1]), d.conv.out_size(1, x[2], w[2]), w[0]};
  c.normal("x", x);
  if (p.integer("frozen", 0) == 1) c.inputs.back().constant();
  c.normal("w", w).as_parameter().constant();
  if (d.tail.filter) {
    const Shape size = p.shape("f"), filter{size[0], size[1], w[0]};
    c.normal("filter", groups == 0 ? filter : filter.prepend(groups)).as_parameter();
  }
  const bool negative = p.integer("negative", 0) == 1;
  c.uniform("gamma", d.row, negative ? -2 : 0.5, negative ? -0.5 : 2).as_parameter();
  c.normal("beta", d.row).as_parameter();
  if (d.tail.residual) c.normal("residual", d.y);
  c.bf16_roundings = d.tail.args.relu || d.tail.max_pool ? 0 : 3;
  c.tolerance = 5e-6;
  return d;
}

// In training, behind a frozen convolution; sealed=0: one that might be trained. twice=1: its input has
// another use, whose gradient comes first.
const OpCases conv2d_tail_trained(
    "conv2d_tail_trained",
    {
        "x=2x7x5x3 w=5x1x1x3",
        "x=2x7x5x3 w=5x3x3x3 pad=1",  // not pointwise: the parts
        "x=2x7x5x35 w=33x1x1x35 res=1",
        "x=2x7x5x35 w=33x1x1x35 res=1 twice=1",
        "x=2x7x5x19 w=70x1x1x19 relu=0",
        "x=3x9x8x17 w=40x1x1x17 stride=2",
        "x=3x9x8x17 w=40x1x1x17 stride=2 twice=1",
        "x=3x4x9x17 w=40x1x1x17 stride=4x3 res=1",
        "x=6x5x6x8 w=20x1x1x8 groups=3 res=1",
        "x=4x5x6x8 w=20x1x1x8 groups=2 twice=1",
        "x=2x6x5x8 w=6x1x1x4 convgroups=2",
        "x=2x1x1x64 w=3x1x1x64",
        "x=2x7x5x19 w=33x1x1x19 frozen=1 res=1",
        "x=2x56x56x64 w=96x1x1x64 res=1",  // real networks
        "x=2x14x14x64 w=1024x1x1x64 twice=1",
        "x=3x7x7x64 w=2048x1x1x64 res=1",
        "x=2x7x5x3 w=5x3x3x3 pad=1 f=3x3",
        "x=2x7x5x19 w=33x3x3x19 pad=1 f=3x3 res=1 twice=1",
        "x=3x9x8x17 w=40x1x1x17 stride=2 f=5x3 relu=0",
        "x=6x5x6x8 w=20x3x3x8 pad=1 groups=3 f=3x3",
        "x=2x8x9x16 w=16x3x3x16 pad=1 f=3x3",  // Winograd's form
        "x=2x14x13x3 w=19x7x7x3 stride=2 pad=3 f=3x3 mk=3 mp=1",
        "x=2x14x13x3 w=19x7x7x3 stride=2 pad=3 f=3x3 mk=3 mp=1 sealed=0",
        "x=2x9x8x17 w=40x3x3x17 pad=1 f=3x3 sealed=0",
        "x=2x14x13x3 w=19x7x7x3 stride=2 pad=3 f=3x3 mk=3 mp=1 frozen=1 negative=1",
        "x=3x7x5x8 w=9x3x3x8 pad=1 mk=2 relu=0",
        "x=2x11x6x5 w=5x1x1x5 f=3x3 mk=2 ms=4x3",  // rows that no window sees
        "x=6x6x5x8 w=9x3x3x8 pad=1 groups=3 f=3x3 mk=3 ms=1 mp=1",
        "x=2x8x9x16 w=16x3x3x16 pad=1 f=3x3 mk=2",  // Winograd's form
    },
    [](Case& c, const Params& p) {
      const Convolved d = draw_convolved(c, p);
      const bool twice = p.integer("twice", 0) == 1, sealed = p.integer("sealed", 1) == 1;
      if (twice) c.normal("v", {d.y[3], 1, 1, p.shape("x")[3]}).as_parameter().constant();
      c.run = [d, twice, sealed](const std::vector<Tensor>& in) {
        const Tensor h = twice ? ops::affine(in[0], 2, 0) : in[0];  // no leaf
        const Tensor w = sealed ? in[1].sealed_copy() : in[1];
        const auto [z, mean, var] = ops::conv2d_tail(h, w, d.conv, d.tail.tail(in, 2));
        if (!twice) return std::vector{z, mean, var};
        return std::vector{ops::add(z, ops::conv2d(h, in.back(), {.stride = d.conv.stride})), mean, var};
      };
      if (d.y.numel() == 2 * d.y[3]) c.terms = 1;
    });

// For inference alone. The filter is frozen; sealed=0: it is not.
const OpCases conv2d_tail("conv2d_tail",
                          {
                              "x=2x7x5x3 w=5x3x3x3 pad=1",
                              "x=2x7x5x35 w=33x1x1x35 res=1",
                              "x=2x7x5x35 w=33x1x1x35 res=1 relu=0",
                              "x=2x7x5x19 w=70x1x1x19 relu=0 sealed=0",
                              "x=3x9x8x17 w=40x1x1x17 stride=2",
                              "x=3x9x8x16 w=40x3x3x16 stride=2 pad=1 res=1",
                              "x=2x8x9x16 w=16x3x3x16 pad=1 res=1",  // Winograd's form
                              "x=2x10x9x8 w=6x3x3x4 convgroups=2 pad=1 res=1",
                              "x=4x5x6x8 w=20x1x1x8 groups=2 res=1",
                              "x=1x1x1x64 w=3x1x1x64",
                              "x=2x56x56x64 w=96x1x1x64 res=1",  // real networks
                              "x=2x14x14x1024 w=64x1x1x1024",
                              "x=3x7x7x64 w=256x1x1x64 res=1",
                              "x=2x6x5x256 w=330x1x1x256 res=1",
                          },
                          [](Case& c, const Params& p) {
                            const Convolved d = draw_convolved(c, p);
                            for (Input& input : c.inputs) input.constant();
                            c.normal("mean", d.row).constant().as_parameter();
                            c.uniform("var", d.row, 0.25, 4).constant().as_parameter();
                            const bool sealed = p.integer("sealed", 1) == 1;
                            c.run = [d, sealed](const std::vector<Tensor>& in) {
                              const std::size_t n = in.size();
                              return std::vector{ops::conv2d_tail(in[0], sealed ? in[1].sealed_copy() : in[1],
                                                                  d.conv, in[n - 2], in[n - 1],
                                                                  d.tail.tail(in, 2))};
                            };
                          });

}  // namespace

std::vector<OpCases> conv_tail_cases() {
  return {conv_tail, conv_tail_eval, conv2d_tail_trained, conv2d_tail};
}

}  // namespace reprise::cases
