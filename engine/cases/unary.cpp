#include "engine/ops/unary.h"

#include <cmath>
#include <limits>

#include "engine/cases/cases.h"

namespace reprise::cases {
namespace {

const std::vector<std::string> shapes{"x=1", "x=3", "x=35", "x=2x7x5x3", "x=3x4x5x35", "x=4x13x11x64"};

void call(Case& c, Tensor (*op)(const Tensor&)) {
  c.bf16_roundings = 1;
  c.tolerance = 0;
  c.calls([op](const Inputs& in) { return op(in[0]); });
}

Tensor clamp_to_bounds(const Tensor& x) {
  return ops::clamp(x, -1.5, 2);
}

// Values keep away from kinks by more than a difference's step.
template <Tensor (*op)(const Tensor&)>
void with_kinks(Case& c, const Params& p) {
  c.normal("x", p.shape("x")).change([](double v) {
    v *= 4;
    for (const double kink : {0.0, 6.0, -1.5, 2.0})
      if (std::abs(v - kink) < 0.01) return 0.5;
    return v;
  });
  call(c, op);
}

// The kinks, signed zeros, tiny and huge values, infinities and NaN. No gradient by differences.
template <Tensor (*op)(const Tensor&)>
void at_edges(Case& c, const Params& p) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  constexpr double infinity = std::numeric_limits<double>::infinity();
  static constexpr double kinds[] = {0.0,      -0.0,      1e-30, -1e-30, 3e38, -3e38, nan,
                                     infinity, -infinity, 6.0,   2.0,    -1.5, 5.99};
  c.values("x", zeros({p.integer("n", 1)}, DType::f64, ref_device)).change([i = 0](double) mutable {
    return kinds[i++ % 13];
  });
  c.by_differences = false;
  call(c, op);
}

// Converts to the device's other dtype and back: values that bf16 holds do not change.
void cast(Case& c, const Params& p) {
  c.normal("x", p.shape("x"));
  c = c.rounded_to_bf16();
  c.bf16_roundings = 1;
  c.by_differences = false;
  c.calls([](const Inputs& in) {
    const DType dtype = in[0].dtype(), wide = in[0].device() == ref_device ? DType::f64 : DType::bf16;
    return ops::cast(ops::cast(in[0], dtype == DType::f32 ? wide : DType::f32), dtype);
  });
}

// Sets a smooth op on values from `low` to `high`; the case's low= and high= replace these.
void smooth(Case& c, const Params& p, Tensor (*op)(const Tensor&), double low, double high) {
  c.uniform("x", p.shape("x"), p.number("low", low), p.number("high", high));
  c.bf16_roundings = 4;
  c.calls([op](const Inputs& in) { return op(in[0]); });
}

void log(Case& c, const Params& p) {
  smooth(c, p, ops::log, 0.1, 3);
  c.by_differences = p.number("high", 3) < 10;
}

void sigmoid(Case& c, const Params& p) {
  smooth(c, p, ops::sigmoid, -p.number("high", 3), 3);
  if (p.number("high", 3) > 30) c.terms = 1;  // y (1 - y) cancels near 1
}

}  // namespace

std::vector<OpCases> unary_cases() {
  return {{"relu", shapes, with_kinks<ops::relu>},
          {"relu_edges", {"n=1", "n=67"}, at_edges<ops::relu>},
          {"relu6", shapes, with_kinks<ops::relu6>},
          {"relu6_edges", {"n=67"}, at_edges<ops::relu6>},
          {"clamp", shapes, with_kinks<clamp_to_bounds>},
          {"clamp_edges", {"n=67"}, at_edges<clamp_to_bounds>},
          {"gelu",
           {"x=1", "x=35", "x=2x7x5x3", "x=3x4x5x35", "x=1000 high=0.01", "x=67 high=30"},
           [](Case& c, const Params& p) { smooth(c, p, ops::gelu, -p.number("high", 4), 4); }},
          {"cast", shapes, cast},
          {"exp",
           {"x=1", "x=35", "x=2x7x5x3", "x=3x4x5x35", "x=67 low=-80 high=80", "x=1000 low=-1 high=1"},
           [](Case& c, const Params& p) { smooth(c, p, ops::exp, -3, 3); }},
          {"log",
           {"x=1", "x=35", "x=2x7x5x3", "x=3x4x5x35", "x=1000 low=0.9 high=1.1", "x=67 low=1 high=1e30"},
           log},
          {"sqrt", shapes, [](Case& c, const Params& p) { smooth(c, p, ops::sqrt, 0.1, 9); }},
          {"tanh",
           {"x=1", "x=35", "x=2x7x5x3", "x=3x4x5x35", "x=1000 high=0.01", "x=67 high=30"},
           [](Case& c, const Params& p) { smooth(c, p, ops::tanh, -p.number("high", 3), 3); }},
          {"sigmoid", {"x=1", "x=35", "x=2x7x5x3", "x=3x4x5x35", "x=67 high=80"}, sigmoid}};
}

}  // namespace reprise::cases
