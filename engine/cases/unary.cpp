#include "engine/ops/unary.h"

#include <cmath>
#include <limits>

#include "tests/ops/cases.h"

namespace reprise::testing {
namespace {

const std::vector<std::string> shapes{"x=1", "x=3", "x=35", "x=2x7x5x3", "x=3x4x5x35", "x=4x13x11x64"};

template <Tensor (*op)(const Tensor&)>
std::vector<Tensor> one(const std::vector<Tensor>& in) {
  return {op(in[0])};
}

// No value within a difference's step of 0, where relu has a kink.
const OpCases relu("relu", shapes, [](Case& c, const Params& p) {
  const Shape shape = p.shape("x");
  Input& x = c.normal("x", shape);
  for (std::int64_t i = 0; i < shape.numel(); ++i)
    if (double& v = x.value.mutable_data<double>()[i]; std::abs(v) < 0.001) v = 0.5;
  c.bf16_roundings = 1;
  c.run = one<ops::relu>;
  c.tolerance = 0;
});

// Zeros, signed ones among them, and values far apart; no differences at the kink, so no gradient check.
const OpCases relu_edges("relu_edges", {"n=1", "n=67"}, [](Case& c, const Params& p) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const std::vector<double> kinds{0.0, -0.0, 1e-30, -1e-30, 3e38, -3e38, nan, infinity, -infinity};
  std::vector<double> v;
  for (int i = 0; i < p.integer("n", 1); ++i)
    v.push_back(static_cast<double>(static_cast<float>(kinds[static_cast<std::size_t>(i) % kinds.size()])));
  c.values("x", tensor({p.integer("n", 1)}, std::span<const double>(v), ref_device)).constant();
  c.bf16_roundings = 1;
  c.run = one<ops::relu>;
  c.tolerance = 0;
});

// There and back; in bf16 there alone.
const OpCases cast("cast", shapes, [](Case& c, const Params& p) {
  c.normal("x", p.shape("x"));
  c.bf16_roundings = 1;
  c.run = [](const std::vector<Tensor>& in) {
    const DType dtype = in[0].dtype();
    if (dtype == DType::bf16) return std::vector{ops::cast(in[0], DType::f32)};
    if (in[0].device() != ref_device) return std::vector{ops::cast(in[0], dtype)};
    const Tensor other = ops::cast(in[0], dtype == DType::f64 ? DType::f32 : DType::f64);
    return std::vector{ops::cast(other, dtype)};
  };
  c.by_differences = false;
});

const OpCases exp("exp",
                  {"x=1", "x=35", "x=2x7x5x3", "x=3x4x5x35", "x=67 low=-80 high=80", "x=1000 low=-1 high=1"},
                  [](Case& c, const Params& p) {
                    c.uniform("x", p.shape("x"), p.number("low", -3), p.number("high", 3));
                    c.bf16_roundings = 4;
                    c.run = one<ops::exp>;
                  });

const OpCases log("log",
                  {"x=1", "x=35", "x=2x7x5x3", "x=3x4x5x35", "x=1000 low=0.9 high=1.1",
                   "x=67 low=1 high=1e30"},
                  [](Case& c, const Params& p) {
                    c.uniform("x", p.shape("x"), p.number("low", 0.1), p.number("high", 3));
                    c.by_differences = p.number("high", 3) < 10;
                    c.bf16_roundings = 4;
                    c.run = one<ops::log>;
                  });

const OpCases sqrt("sqrt", shapes, [](Case& c, const Params& p) {
  c.uniform("x", p.shape("x"), 0.1, 9);
  c.bf16_roundings = 4;
  c.run = one<ops::sqrt>;
});

const OpCases tanh("tanh", {"x=1", "x=35", "x=2x7x5x3", "x=3x4x5x35", "x=1000 high=0.01", "x=67 high=30"},
                   [](Case& c, const Params& p) {
                     const double high = p.number("high", 3);
                     c.uniform("x", p.shape("x"), -high, high);
                     c.bf16_roundings = 4;
                     c.run = one<ops::tanh>;
                   });

const OpCases sigmoid("sigmoid", {"x=1", "x=35", "x=2x7x5x3", "x=3x4x5x35", "x=67 high=80"},
                      [](Case& c, const Params& p) {
                        const double high = p.number("high", 3);
                        c.uniform("x", p.shape("x"), -high, high);
                        if (high > 30) c.terms = 1;  // y (1 - y) cancels near 1
                        c.bf16_roundings = 4;
                        c.run = one<ops::sigmoid>;
                      });

}  // namespace
}  // namespace reprise::testing
