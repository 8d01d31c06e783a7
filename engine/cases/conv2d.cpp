#include "engine/ops/conv2d.h"

#include <algorithm>
#include <cmath>

#include "engine/cases/cases.h"
#include "engine/ops/arithmetic.h"

namespace reprise::cases {
namespace {

// Adds the inputs x and w, and returns the convolution's parameters.
Conv2dArgs convolution(Case& c, const Params& p) {
  const Shape x = p.shape("x"), w = p.shape("w");
  const Conv2dArgs args{p.pair("stride", 1), p.pair("pad", 0), p.pair("dil", 1), p.integer("groups", 1)};
  c.normal("x", x);
  c.normal("w", w).as_parameter();
  c.bf16_roundings = 1;
  c.flops = 2.0 * static_cast<double>(x[0] * args.out_size(0, x[1], w[-3]) * args.out_size(1, x[2], w[-2]) *
                                      w.numel());
  return args;
}

const OpCases conv2d(
    "conv2d",
    also_on_integers({"x=2x7x5x1 w=1x3x3x1", "x=2x9x7x3 w=5x3x3x3 pad=1", "x=3x8x11x35 w=7x3x3x35 pad=1",
                      "x=2x9x7x35 w=35x3x3x35 stride=2 pad=1",
                      "x=2x10x7x3 w=4x3x3x3 stride=2 pad=1",      // a remainder
                      "x=2x11x8x3 w=6x3x5x3 stride=3x2 pad=0x2",  // all different
                      "x=2x9x13x5 w=3x2x4x5 stride=1x3 pad=2x1",  // even sizes
                      "x=2x12x9x4 w=6x3x3x4 dil=2x3 pad=2x3",
                      "x=2x13x10x3 w=5x3x2x3 dil=3x1 stride=2x1 pad=1x0",
                      "x=2x7x9x6 w=4x3x3x3 groups=2 pad=1", "x=2x6x5x35 w=70x3x3x7 groups=5 pad=1 stride=2x1",
                      "x=2x6x9x6 w=6x3x3x1 groups=6 pad=1",
                      "x=2x2x3x3 w=4x3x3x3 pad=1",  // smaller than the filter
                      "x=2x1x1x35 w=5x3x3x35 pad=1", "x=3x1x2x3 w=4x5x5x3 pad=2 stride=2",
                      "x=2x3x4x3 w=2x3x4x3",             // exactly the filter
                      "x=2x7x5x35 w=13x1x1x35",          // 1x1
                      "x=2x9x6x35 w=7x1x1x35 stride=2",  // skips rows
                      "x=2x5x4x3 w=3x1x1x3 pad=1 stride=2x3", "x=2x8x6x16 w=34x1x1x8 groups=2 stride=1x2",
                      "x=1x19x23x3 w=64x7x7x3 stride=2 pad=3",  // a stem
                      "x=2x17x14x3 w=17x7x7x3 stride=2 pad=3", "x=1x6x5x64 w=65x3x3x64 pad=1",
                      "x=1x40x3x8 w=9x3x3x8 pad=1", "x=1x3x41x8 w=16x3x3x8 pad=1",
                      // Real networks.
                      "x=2x28x28x16 w=32x3x3x16 stride=2 pad=1", "x=2x14x14x64 w=64x3x3x64 pad=1",
                      "x=1x28x28x64 w=128x3x3x64 stride=2 pad=1", "x=1x14x14x256 w=64x1x1x256",
                      "x=1x14x14x128 w=256x1x1x128 stride=2", "x=1x7x7x256 w=256x3x3x256 pad=1",
                      "x=2x7x7x512 w=64x1x1x512",
                      "x=2x3x1x4 w=5x1x1x4 stride=2",  // one column, a last row without outputs
                      "x=1x5x7x3 w=4x1x2x3 dil=1x2", "x=1x1x9000x30 w=2x1x3x30",
                      "x=1x3x3x16448 w=33x1x1x16448"}),  // a panel of weights larger than the cache
    [](Case& c, const Params& p) {
      const Conv2dArgs args = convolution(c, p);
      c.calls([args](const Inputs& in) { return ops::conv2d(in[0], in[1], args); });
      // The rounding error of a sum grows with the square root of its length.
      const Shape w = p.shape("w");
      c.tolerance = 1e-6 * std::max(2.0, std::sqrt(static_cast<double>(w.numel() / w[0])) / 12);
    });

// A frozen filter, of which a backend may keep derived forms. Winograd's F(4x4,3x3) is exact for
// whole numbers only if the filter's are multiples of 576, by which its transform divides.
const OpCases conv2d_frozen("conv2d_frozen",
                            {"x=2x7x5x3 w=5x3x3x3 pad=1",
                             "x=2x8x12x16 w=16x3x3x16 pad=1",  // whole tiles
                             "x=3x9x7x16 w=35x3x3x16 pad=1",
                             "x=1x11x14x35 w=16x3x3x35",
                             "x=2x10x4x19 w=33x3x3x19 pad=2",
                             "x=2x5x4x64 w=40x3x3x64 pad=1",
                             "x=2x9x6x17 w=18x3x3x17 pad=0x1",
                             "x=1x6x5x16 w=17x3x3x16 pad=3",
                             "x=5x28x28x16 w=16x3x3x16 pad=1",
                             "x=2x14x14x64 w=64x3x3x64 pad=1",  // real networks
                             "x=3x7x7x128 w=96x3x3x128 pad=1",
                             "x=2x16x24x32 w=32x3x3x32 stride=2 pad=1",  // whole tiles
                             "x=2x9x7x16 w=16x3x3x16 stride=2 pad=1",
                             "x=3x10x13x33 w=32x3x3x33 stride=2 pad=1",
                             "x=1x15x20x35 w=40x3x3x35 stride=2 pad=1",
                             "x=2x11x22x32 w=33x3x3x32 stride=2 pad=1",
                             "x=2x8x17x32 w=32x3x3x32 stride=2 pad=1",
                             "x=5x28x28x64 w=48x3x3x64 stride=2 pad=1",  // real networks
                             "x=3x14x14x64 w=96x3x3x64 stride=2 pad=1",
                             "x=2x12x9x32 w=32x3x3x32 stride=2",
                             "x=2x12x9x32 w=32x3x3x32 stride=2x1 pad=1",
                             "x=2x5x7x35 w=33x1x1x35",
                             "x=3x13x14x35 w=33x1x1x35 stride=2",  // tiles that end in another row
                             "x=5x14x14x64 w=40x1x1x64 stride=2",
                             "x=2x9x8x35 w=33x1x1x35 stride=2 pad=1",
                             "x=2x9x6x16 w=16x3x3x8 groups=2 pad=1",
                             "x=2x9x8x16 w=16x3x3x16 dil=2 pad=2"},
                            [](Case& c, const Params& p) {
                              const Conv2dArgs args = convolution(c, p);
                              c.inputs[1].constant();
                              c.calls([args](const Inputs& in) {
                                return ops::conv2d(in[0], in[1].sealed_copy(), args);
                              });
                              // Winograd's form rounds about twice as much as the direct one.
                              c.tolerance = 4e-6;
                            });

// Two convolutions of one tensor: the second one's gradient comes first, and the first one's is
// added to it in place. With itself=1 the tensor takes the place of the second result: its gradient
// then is memory that the first convolution's backward reads, so nothing may be added in place.
const OpCases conv2d_shared(
    "conv2d_shared",
    {"x=2x7x5x3 w=5x3x3x3 pad=1", "x=2x9x8x35 w=33x1x1x35",
     "x=2x9x8x17 w=40x1x1x17 stride=2",  // pixels that the convolution skips
     "x=2x9x7x16 w=18x3x3x16 pad=1",     // Winograd's form
     "x=2x11x14x32 w=33x3x3x32 pad=1 stride=2", "x=2x10x9x8 w=6x3x3x4 groups=2 pad=1",
     "x=2x9x8x8 w=6x3x3x8 pad=1 stride=3x2",
     "x=2x28x28x64 w=256x1x1x64",  // real networks
     "x=2x14x14x64 w=64x3x3x64 pad=1", "x=2x7x5x17 w=17x1x1x17 itself=1",
     "x=2x9x8x16 w=16x3x3x16 pad=1 itself=1"},
    [](Case& c, const Params& p) {
      const Conv2dArgs args = convolution(c, p);
      c.inputs[1].constant();
      c.normal("v", {p.shape("w")[0], 1, 1, p.shape("x")[3]}).as_parameter().constant();
      c.bf16_roundings = 3;
      const bool itself = p.integer("itself", 0) == 1;
      c.calls([args, itself](const Inputs& in) {
        const Tensor h = ops::affine(in[0], 2, 0);  // not a leaf
        const Tensor first = ops::conv2d(h, in[1].sealed_copy(), args);
        return ops::add(first, itself ? h : ops::conv2d(h, in[2].sealed_copy(), {.stride = args.stride}));
      });
      c.tolerance = 4e-6;
    });

const OpCases conv2d_bias("conv2d_bias", {"x=2x9x7x3 w=5x3x3x3 pad=1", "x=2x5x7x35 w=3x1x1x35 stride=2x1"},
                          [](Case& c, const Params& p) {
                            const Conv2dArgs args = convolution(c, p);
                            c.normal("bias", {p.shape("w")[0]}).as_parameter();
                            c.bf16_roundings = 2;
                            c.calls(
                                [args](const Inputs& in) { return ops::conv2d(in[0], in[1], args, in[2]); });
                            c.tolerance = 2e-6;
                          });

const OpCases depthwise("depthwise_conv2d",
                        also_on_integers({
                            "x=2x7x5x1 w=3x3x1 pad=1",
                            "x=2x9x7x3 w=3x3x3 pad=1",
                            "x=3x8x11x35 w=3x3x35 pad=1",
                            "x=3x6x7x35 w=3x3x35 pad=1",
                            "x=6x9x5x3 w=3x3x3 pad=1 stride=2",
                            "x=6x5x7x17 w=1x1x17",
                            "x=2x10x7x3 w=3x3x3 stride=2 pad=1",
                            "x=2x11x8x35 w=3x5x35 stride=3x2 pad=0x2",
                            "x=2x12x9x4 w=3x3x4 dil=2x3 pad=2x3",
                            "x=2x9x13x5 w=2x4x5 stride=1x3 pad=2x1",
                            "x=1x4x4x3 w=2x2x3 pad=1",
                            "x=1x5x8x3 w=3x3x3 dil=2 pad=1",
                            "x=1x5x7x3 w=3x3x3 dil=2 pad=3",
                            "x=2x2x3x3 w=3x3x3 pad=1",  // smaller than the filter
                            "x=2x1x1x35 w=3x3x35 pad=1",
                            "x=2x3x4x3 w=3x3x3 pad=1",  // rows of one block, of several, of overlapping ones
                            "x=2x4x8x19 w=3x3x19 pad=1",
                            "x=2x2x16x35 w=3x3x35 pad=1",
                            "x=2x3x15x5 w=3x3x5 pad=1",
                            "x=1x4x26x17 w=3x3x17 pad=1",
                            "x=3x1x2x19 w=5x5x19 pad=2 stride=2",
                            "x=2x7x5x35 w=1x1x35",
                            "x=2x9x6x35 w=1x1x35 stride=2",
                            "x=2x17x14x3 w=7x7x3 stride=2 pad=3",
                            "x=2x19x5x8 w=3x3x8 pad=1",  // vectors of channels: other paddings, strips
                            "x=3x6x7x24 w=3x3x24",
                            "x=2x5x6x8 w=3x3x8 pad=2x0",
                            "x=1x2x3x16 w=3x3x16 pad=3x2",
                            "x=2x9x7x12 w=3x3x12 pad=1",
                            "x=2x28x28x64 w=3x3x64 pad=1",  // real networks
                            "x=3x14x14x256 w=3x3x256 pad=1",
                            "x=2x7x7x512 w=3x3x512 pad=1",
                            "x=2x7x7x512 w=1x1x512",
                        }),
                        [](Case& c, const Params& p) {
                          const Conv2dArgs args = convolution(c, p);
                          c.calls(
                              [args](const Inputs& in) { return ops::depthwise_conv2d(in[0], in[1], args); });
                          c.tolerance = 2e-6;
                        });

}  // namespace

std::vector<OpCases> conv2d_cases() {
  return {conv2d, conv2d_frozen, conv2d_shared, conv2d_bias, depthwise};
}

}  // namespace reprise::cases
