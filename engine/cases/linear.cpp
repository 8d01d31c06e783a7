#include "engine/ops/linear.h"

#include "engine/cases/cases.h"

namespace reprise::cases {
namespace {

const OpCases linear("linear",
                     also_on_integers({
                         "x=2x3 w=5x3",
                         "x=3x35 w=7x35 bias=1",
                         "x=1x1 w=1x1 bias=1",
                         "x=5x64 w=33x64 bias=1",
                         "x=9x17 w=4x17 bias=1",
                         "x=7x129 w=65x129 bias=1",
                         "x=32x512 w=10x512 bias=1",
                         "x=16x512 w=200x512 bias=1",
                     }),
                     [](Case& c, const Params& p) {
                       const Shape x = p.shape("x"), w = p.shape("w");
                       const bool bias = p.integer("bias", 0) != 0;
                       c.normal("x", x);
                       c.normal("w", w);
                       if (bias) c.normal("b", {w[0]});
                       c.run = [bias](const std::vector<Tensor>& in) {
                         return std::vector{ops::linear(in[0], in[1], bias ? in[2] : Tensor())};
                       };
                       c.flops = 2.0 * static_cast<double>(x.numel() * w[0]);
                       c.tolerance = 2e-6;
                     });

const OpCases matmul(
    "matmul",
    also_on_integers({"a=2x3 b=3x5", "a=3x2 b=3x5 ta=1", "a=2x3 b=5x3 tb=1", "a=3x2 b=5x3 ta=1 tb=1",
                      "a=1x1 b=1x1", "a=17x35 b=35x19", "a=35x17 b=35x19 ta=1", "a=17x35 b=19x35 tb=1",
                      "a=35x17 b=19x35 ta=1 tb=1", "a=65x129 b=129x67", "a=128x256 b=256x192"}),
    [](Case& c, const Params& p) {
      const Shape a = p.shape("a"), b = p.shape("b");
      const MatmulArgs args{p.integer("ta", 0) != 0, p.integer("tb", 0) != 0};
      c.normal("a", a);
      c.normal("b", b);
      c.calls([args](const Inputs& in) { return ops::matmul(in[0], in[1], args); });
      c.flops = 2.0 * static_cast<double>(a.numel() * b[args.transpose_b ? 0 : 1]);
      c.tolerance = 2e-6;
    });

}  // namespace

std::vector<OpCases> linear_cases() {
  return {linear, matmul};
}

}  // namespace reprise::cases
