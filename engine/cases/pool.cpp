#include "engine/ops/pool.h"

#include <limits>

#include "tests/ops/cases.h"

namespace reprise::testing {
namespace {

Pool2dArgs pool_args(const Params& p) {
  return {p.pair("k", 2), p.pair("stride", 2), p.pair("pad", 0), p.integer("count_pad", 1) != 0};
}

const std::vector<std::string> windows{
    "x=2x8x6x1",
    "x=2x9x7x3",  // a remainder
    "x=3x8x11x35",
    "x=2x9x7x35 k=3 stride=2 pad=1",
    "x=2x11x8x3 k=3x2 stride=2x3 pad=1x0",
    "x=2x7x9x17 k=3 stride=1 pad=1",  // windows overlap
    "x=2x7x9x3 k=2 stride=3",         // pixels that no window sees
    "x=2x2x1x3 k=3 stride=2 pad=1",   // smaller than the window
    "x=2x5x4x3 k=5x4 stride=1",       // the whole image
    "x=2x5x4x19 k=1 stride=2",
    "x=2x28x28x64 k=3 stride=2 pad=1",  // a ResNet's stem
};

const OpCases max_pool2d("max_pool2d", windows, [](Case& c, const Params& p) {
  const Pool2dArgs args = pool_args(p);
  c.distinct("x", p.shape("x"));
  c.bf16_roundings = 1;
  c.run = [args](const std::vector<Tensor>& in) { return std::vector{ops::max_pool2d(in[0], args)}; };
});

// Few values, so that a window has many largest ones: the first takes the gradient. A difference would move
// it.
const OpCases max_pool2d_ties("max_pool2d_ties",
                              {"x=2x9x7x3 k=3 stride=2 pad=1 fill=int",
                               "x=3x8x11x35 k=3 stride=1 pad=1 fill=int", "x=2x8x6x16 fill=int"},
                              [](Case& c, const Params& p) {
                                const Pool2dArgs args = pool_args(p);
                                c.normal("x", p.shape("x"));
                                c.by_differences = false;
                                c.bf16_roundings = 1;
                                c.run = [args](const std::vector<Tensor>& in) {
                                  return std::vector{ops::max_pool2d(in[0], args)};
                                };
                              });

// NaN wins; of two NaN, or two infinities, the first.
const OpCases max_pool2d_edges("max_pool2d_edges", {"x=2x9x7x3 k=3 stride=2 pad=1", "x=2x8x6x35"},
                               [](Case& c, const Params& p) {
                                 const Pool2dArgs args = pool_args(p);
                                 Input& x = c.normal("x", p.shape("x"));
                                 double* v = x.value.mutable_data<double>();
                                 constexpr double nan = std::numeric_limits<double>::quiet_NaN();
                                 constexpr double infinity = std::numeric_limits<double>::infinity();
                                 for (std::int64_t i = 0; i < x.value.numel(); ++i)
                                   if (i % 7 == 0)
                                     v[i] = i % 3 == 0 ? nan : i % 2 == 0 ? -infinity : infinity;
                                 c.by_differences = false;
                                 c.bf16_roundings = 1;
                                 c.run = [args](const std::vector<Tensor>& in) {
                                   return std::vector{ops::max_pool2d(in[0], args)};
                                 };
                               });

std::vector<std::string> also_without_padding(std::vector<std::string> cases) {
  const std::size_t n = cases.size();
  for (std::size_t i = 0; i < n; ++i)
    if (cases[i].find("pad=") != std::string::npos) cases.push_back(cases[i] + " count_pad=0");
  return cases;
}

const OpCases avg_pool2d("avg_pool2d", also_without_padding(windows), [](Case& c, const Params& p) {
  const Pool2dArgs args = pool_args(p);
  c.normal("x", p.shape("x"));
  c.bf16_roundings = 1;
  c.run = [args](const std::vector<Tensor>& in) { return std::vector{ops::avg_pool2d(in[0], args)}; };
});

const OpCases global_avg_pool(
    "global_avg_pool", {"x=2x8x6x1", "x=2x9x7x3", "x=3x8x11x35", "x=2x1x1x3", "x=2x8x8x64", "x=4x7x7x512"},
    [](Case& c, const Params& p) {
      c.normal("x", p.shape("x"));
      c.bf16_roundings = 1;
      c.run = [](const std::vector<Tensor>& in) { return std::vector{ops::global_avg_pool(in[0])}; };
    });

}  // namespace
}  // namespace reprise::testing
