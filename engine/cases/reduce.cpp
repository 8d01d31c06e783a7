#include "engine/ops/reduce.h"

#include <cmath>

#include "engine/cases/cases.h"

namespace reprise::cases {
namespace {

const std::vector<std::string> shapes{"x=1", "x=35", "x=2x7x5x3", "x=3x4x5x35", "x=5x1", "x=4x28x28x64"};

const std::vector<std::string> lines{"x=1 dim=0",   "x=35 dim=-1", "x=2x7x5x3 dim=1", "x=3x4x5x35 dim=-2",
                                     "x=5x7 dim=1", "x=7x5 dim=0", "x=3x300x2 dim=1", "x=511x9 dim=0"};

template <Tensor (*op)(const Tensor&)>
void reduce(Case& c, const Params& p) {
  if (op == ops::sum_rows)
    c.normal("x", p.shape("x"));
  else  // positive values, so that nothing cancels in the sum
    c.uniform("x", p.shape("x"), 0.5, 1.5);
  c.calls([](const Inputs& in) { return op(in[0]); });
  c.tolerance = 2e-6;
  c.bf16_roundings = 1;
}

template <Tensor (*op)(const Tensor&, int)>
void along(Case& c, const Params& p) {
  const Shape shape = p.shape("x");
  if (op == static_cast<Tensor (*)(const Tensor&, int)>(ops::max))
    c.distinct("x", shape);
  else
    c.uniform("x", shape, 0.5, 1.5);
  c.calls([dim = p.integer("dim", 0)](const Inputs& in) { return op(in[0], dim); });
  c.tolerance = 2e-6;
  c.bf16_roundings = 1;
}

void call_norm(Case& c, const Params& p) {
  c.calls([kind = norm_kind(p.word("kind", "l2"))](const Inputs& in) { return ops::norm(in, kind); });
}

void norm(Case& c, const Params& p) {
  const double scale = p.number("scale", 1);
  const Shape shape = p.shape("x");
  for (int k = 0; k < p.integer("tensors", 1); ++k) {
    // No value is near 0, where |x| has a kink.
    Input& x = c.distinct("x" + std::to_string(k), shape.with(0, shape[0] + k));
    x.change([scale](double v) { return (std::abs(v) < 0.001 ? 0.5 : v) * scale; });
    // Differences move values by 1e-5, which is useless for far smaller or larger values.
    if (scale != 1) x.constant();
  }
  call_norm(c, p);
  c.tolerance = 2e-6;
}

// A norm of 0 has gradient 0.
void norm_of_zeros(Case& c, const Params& p) {
  c.values("x", zeros(p.shape("x"), DType::f64, ref_device));
  c.by_differences = false;
  call_norm(c, p);
}

}  // namespace

std::vector<OpCases> reduce_cases() {
  return {
      {"sum", shapes, reduce<ops::sum>},
      {"mean", shapes, reduce<ops::mean>},
      {"sum_rows", shapes, reduce<ops::sum_rows>},
      {"sum_along", lines, along<ops::sum>},
      {"mean_along", lines, along<ops::mean>},
      {"max_along", lines, along<ops::max>},
      {"norm",
       {"x=1 kind=l1", "x=35 kind=l1", "x=5x3x3x35 kind=l1", "x=1 kind=l2", "x=35 kind=l2",
        "x=5x3x3x35 kind=l2", "x=64x3x3x64 kind=l2", "x=35 kind=l12", "x=7x3 kind=l12", "x=5x3x3x35 kind=l12",
        "x=5x7 kind=l1 tensors=3", "x=5x7 kind=l2 tensors=3", "x=5x70x70 kind=l2", "x=5x7 kind=l12 tensors=3",
        "x=1x2 kind=l12 tensors=300", "x=3x64 kind=l12 scale=1e-15", "x=3x64 kind=l2 scale=1e15"},
       norm},
      {"norm_of_zeros", {"x=3x5 kind=l1", "x=3x5 kind=l2", "x=3x5 kind=l12"}, norm_of_zeros}};
}

}  // namespace reprise::cases
