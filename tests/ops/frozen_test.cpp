// An input of an op may be frozen: it gets no gradient then, and the others' gradients stay as they are.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

#include "engine/autograd/autograd.h"
#include "tests/ops/runner.h"

namespace reprise::testing {
namespace {

// Returns the op's first case in which at least two inputs get gradients.
std::optional<Case> first_case(const OpCases& op) {
  for (const std::string& parameters : op.cases) {
    Case c = op.make(parameters);
    if (std::ranges::count_if(c.inputs, [](const Input& in) { return in.gradient; }) >= 2) return c;
  }
  return {};
}

// Leaves out the op's results.
std::vector<Result> gradients(const Case& c, const Target& target) {
  std::vector<Result> all = run_case(c, target);
  std::erase_if(all, [](const Result& r) { return !r.name.starts_with("gradient of "); });
  return all;
}

TEST(Frozen, InputsOfAnyOpChangeNoOtherGradient) {
  int checked = 0;
  for (const OpCases& op : all()) {
    const std::optional<Case> c = first_case(op);
    if (!c) continue;
    for (const Target& target : {Target{ref_device, DType::f64}, Target{cpu_device, DType::f32}}) {
      const std::vector<Result> trained = gradients(*c, target);
      for (unsigned frozen = 1; frozen + 1 < 1U << trained.size(); ++frozen) {  // bit i: gradient i
        Case some = *c;
        std::vector<Result> want;
        for (std::size_t i = 0, k = 0; i < some.inputs.size(); ++i) {
          if (!some.inputs[i].gradient) continue;
          if ((frozen >> k & 1) != 0)
            some.inputs[i].constant();
          else
            want.push_back(trained[k]);
          ++k;
        }
        const Comparison same = compare(gradients(some, target), want, 1e-6, some.terms);
        EXPECT_TRUE(same.passed) << fmt::format("{} on {}, frozen {:#b}\n", some.name, to_string(target),
                                                frozen)
                                 << same.report;
        ++checked;
      }
    }
  }
  EXPECT_GT(checked, 100);
}

}  // namespace
}  // namespace reprise::testing
