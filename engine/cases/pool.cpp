#include "engine/ops/pool.h"

#include <limits>

#include "engine/cases/cases.h"

namespace reprise::cases {
namespace {

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
    "x=2x9x7x24 k=3 stride=2 pad=1",  // vectors of channels
    "x=3x7x10x8 k=4x2 stride=2x3 pad=1",
    "x=2x7x9x16 k=2 stride=3",
    "x=2x28x28x64 k=3 stride=2 pad=1",  // a ResNet's stem
};

std::vector<std::string> also_without_padding(std::vector<std::string> cases) {
  const std::size_t n = cases.size();
  for (std::size_t i = 0; i < n; ++i)
    if (cases[i].find("pad=") != std::string::npos) cases.push_back(cases[i] + " count_pad=0");
  return cases;
}

template <Tensor (*op)(const Tensor&, const Pool2dArgs&), bool distinct = false>
void pool(Case& c, const Params& p) {
  distinct ? c.distinct("x", p.shape("x")) : c.normal("x", p.shape("x"));
  const Pool2dArgs args{p.pair("k", 2), p.pair("stride", 2), p.pair("pad", 0),
                        p.integer("count_pad", 1) != 0};
  c.bf16_roundings = 1;
  c.calls([args](const Inputs& in) { return op(in[0], args); });
}

// Few different values: many windows have several largest ones, and the first takes the gradient.
// Moving one value by a difference would change which one is largest.
void max_pool2d_ties(Case& c, const Params& p) {
  pool<ops::max_pool2d>(c, p);
  c.by_differences = false;
}

// NaN is the largest; of two NaN, or two infinities, the first.
void max_pool2d_edges(Case& c, const Params& p) {
  max_pool2d_ties(c, p);
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  constexpr double infinity = std::numeric_limits<double>::infinity();
  c.inputs[0].change([i = 0](double v) mutable {
    const int at = i++;
    return at % 7 != 0 ? v : at % 3 == 0 ? nan : at % 2 == 0 ? -infinity : infinity;
  });
}

void global_avg_pool(Case& c, const Params& p) {
  c.normal("x", p.shape("x"));
  c.bf16_roundings = 1;
  c.calls([](const Inputs& in) { return ops::global_avg_pool(in[0]); });
}

}  // namespace

std::vector<OpCases> pool_cases() {
  return {{"max_pool2d", windows, pool<ops::max_pool2d, true>},
          {"max_pool2d_ties",
           {"x=2x9x7x3 k=3 stride=2 pad=1 fill=int", "x=3x8x11x35 k=3 stride=1 pad=1 fill=int",
            "x=2x8x6x16 fill=int", "x=2x9x7x8 k=3 stride=2 pad=1 fill=int"},
           max_pool2d_ties},
          {"max_pool2d_edges",
           {"x=2x9x7x3 k=3 stride=2 pad=1", "x=2x8x6x35", "x=2x9x7x8 k=3 stride=2 pad=1"},
           max_pool2d_edges},
          {"avg_pool2d", also_without_padding(windows), pool<ops::avg_pool2d>},
          {"global_avg_pool",
           {"x=2x8x6x1", "x=2x9x7x3", "x=3x8x11x35", "x=2x1x1x3", "x=2x8x8x64", "x=4x7x7x512"},
           global_avg_pool}};
}

}  // namespace reprise::cases
