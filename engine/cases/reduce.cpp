#include "engine/ops/reduce.h"

#include <cmath>

#include "engine/core/check.h"
#include "tests/ops/cases.h"

namespace reprise::testing {
namespace {

const std::vector<std::string> shapes{"x=1", "x=35", "x=2x7x5x3", "x=3x4x5x35", "x=5x1", "x=4x28x28x64"};

template <Tensor (*op)(const Tensor&)>
void fill(Case& c, const Params& p) {
  c.normal("x", p.shape("x"));
  c.run = [](const std::vector<Tensor>& in) { return std::vector{op(in[0])}; };
  c.tolerance = 2e-6;
  c.bf16_roundings = 1;
}

// Values of one sign, so that the sum is the largest number around.
const OpCases sum("sum", shapes, [](Case& c, const Params& p) {
  fill<ops::sum>(c, p);
  c.inputs.clear();
  c.uniform("x", p.shape("x"), 0.5, 1.5);
});
const OpCases mean("mean", shapes, [](Case& c, const Params& p) {
  fill<ops::mean>(c, p);
  c.inputs.clear();
  c.uniform("x", p.shape("x"), 0.5, 1.5);
});
const OpCases sum_rows("sum_rows", shapes, fill<ops::sum_rows>);

NormKind kind_of(const std::string& name) {
  REPRISE_CHECK(name == "l1" || name == "l2" || name == "l12", "case: kind={} is not l1, l2 or l12", name);
  return name == "l1" ? NormKind::l1 : name == "l2" ? NormKind::l2 : NormKind::l12;
}

const OpCases norm("norm",
                   {
                       "x=1 kind=l1",
                       "x=35 kind=l1",
                       "x=5x3x3x35 kind=l1",
                       "x=1 kind=l2",
                       "x=35 kind=l2",
                       "x=5x3x3x35 kind=l2",
                       "x=64x3x3x64 kind=l2",
                       "x=35 kind=l12",
                       "x=7x3 kind=l12",
                       "x=5x3x3x35 kind=l12",
                       "x=3x64 kind=l12 scale=1e-15",
                       "x=3x64 kind=l2 scale=1e15",
                   },
                   [](Case& c, const Params& p) {
                     const NormKind kind = kind_of(p.word("kind", "l2"));
                     const double scale = p.number("scale", 1);
                     // No value near 0, where |x| has a kink.
                     Input& x = c.distinct("x", p.shape("x"));
                     for (std::int64_t i = 0; i < x.value.numel(); ++i) {
                       double& v = x.value.mutable_data<double>()[i];
                       v = static_cast<double>(static_cast<float>((std::abs(v) < 0.001 ? 0.5 : v) * scale));
                     }
                     // Differences step by 1e-5: of no use where the values themselves are far smaller or
                     // larger.
                     if (scale != 1) x.constant();
                     c.run = [kind](const std::vector<Tensor>& in) {
                       return std::vector{ops::norm(in[0], kind)};
                     };
                     c.tolerance = 2e-6;
                   });

// A norm of exactly 0 has gradient 0.
const OpCases norm_of_zeros("norm_of_zeros", {"x=3x5 kind=l1", "x=3x5 kind=l2", "x=3x5 kind=l12"},
                            [](Case& c, const Params& p) {
                              const NormKind kind = kind_of(p.word("kind", "l2"));
                              c.values("x", zeros(p.shape("x"), DType::f64, ref_device));
                              c.by_differences = false;
                              c.run = [kind](const std::vector<Tensor>& in) {
                                return std::vector{ops::norm(in[0], kind)};
                              };
                            });

}  // namespace
}  // namespace reprise::testing
