#include "engine/autograd/gradcheck.h"

#include <algorithm>
#include <cmath>

#include "engine/autograd/autograd.h"
#include "engine/base/check.h"
#include "engine/base/random.h"

namespace reprise {
namespace {

using Function = std::function<Tensor(const std::vector<Tensor>&)>;

// Returns the elements to move: all, or `at_most` sampled ones.
std::vector<std::int64_t> chosen(std::int64_t n, std::int64_t at_most, std::size_t input) {
  std::vector<std::int64_t> elements;
  RandomStream random(0, "gradcheck elements", input);
  for (std::int64_t k = 0; k < std::min(n, at_most); ++k)
    elements.push_back(n <= at_most ? k
                                    : static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(n))));
  return elements;
}

// Slopes of sum(weights * f) in one element x: from x - step to x, from x to x + step, across both.
struct Slopes {
  double below, above, across;
};

// Subtracts output by output, where the differences are small, and sums afterwards. `y` is f at x.
Slopes slopes(const Function& f, const std::vector<Tensor>& inputs, Tensor moved, std::int64_t element,
              double step, const Tensor& weights, const Tensor& y) {
  const double x = moved.data<double>()[element], low = x - step, high = x + step;
  const auto f_at = [&](double value) {
    moved.mutable_data<double>()[element] = value;
    return f(inputs).clone();
  };
  const Tensor at_high = f_at(high), at_low = f_at(low);
  moved.mutable_data<double>()[element] = x;
  double up = 0, down = 0, both = 0;
  for (std::int64_t i = 0; i < weights.numel(); ++i) {
    const double w = weights.data<double>()[i], l = at_low.data<double>()[i], m = y.data<double>()[i],
                 h = at_high.data<double>()[i];
    down += w * (m - l);
    up += w * (h - m);
    both += w * (h - l);
  }
  return {down / (x - low), up / (high - x), both / (high - low)};
}

}  // namespace

GradCheckResult check_gradients(const Function& f, const std::vector<Tensor>& inputs,
                                const GradCheckOptions& options) {
  std::vector<Tensor> leaves;
  bool any = false;
  for (const Tensor& t : inputs) {
    leaves.push_back(t.defined() ? t.clone() : t);
    if (!requires_grad(t)) continue;
    REPRISE_CHECK(t.dtype() == DType::f64 && t.device() == ref_device,
                  "gradcheck: expected inputs in f64 on ref, got {}", describe(t));
    set_requires_grad(leaves.back());
    any = true;
  }
  REPRISE_CHECK(any, "gradcheck: no input is marked with set_requires_grad");

  const Tensor y = f(leaves);
  Tensor weights = empty(y.shape(), DType::f64, ref_device);
  RandomStream random(0, "gradcheck weights");
  for (std::int64_t i = 0; i < y.numel(); ++i) weights.mutable_data<double>()[i] = random.normal();
  backward(y, weights);
  // The error of a difference that the rounding of the outputs may cause.
  double rounding = 0;
  for (std::int64_t i = 0; i < y.numel(); ++i)
    rounding = std::max(rounding,
                        std::abs(y.data<double>()[i] * weights.data<double>()[i]) * 0x1p-50 / options.step);

  const NoGrad no_grad;
  GradCheckResult result;
  for (std::size_t k = 0; k < leaves.size(); ++k) {
    if (!requires_grad(leaves[k]) || leaves[k].numel() == 0) continue;
    const std::string name = k < options.names.size() ? options.names[k] : fmt::format("input {}", k);
    REPRISE_CHECK(grad(leaves[k]).defined(), "gradcheck: backward left no gradient in {}", name);
    const auto slopes_at = [&](std::int64_t e, double step) {
      return slopes(f, leaves, leaves[k], e, step, weights, y);
    };
    struct Pair {
      std::int64_t element;
      double said, measured, used;
      Slopes first;
    };
    std::vector<Pair> pairs;
    double largest = 0.01;
    for (const std::int64_t e : chosen(leaves[k].numel(), options.max_elements, k)) {
      const Slopes s = slopes_at(e, options.step);
      pairs.push_back({e, grad(leaves[k]).data<double>()[e], s.across, HUGE_VAL, s});
      largest = std::max(largest, std::abs(s.across));
    }
    const double allowed = options.tolerance * largest + rounding;
    // Keeps the first slope, or one that agrees.
    const auto agrees = [&](Pair& p, double slope, double may_differ) {
      const double used = std::abs(p.said - slope) / may_differ;
      if (used <= 1 || (p.used == HUGE_VAL && used < HUGE_VAL)) {
        p.measured = slope;
        p.used = used;
      }
      return used <= 1;
    };
    for (Pair& p : pairs) {
      if (agrees(p, p.measured, allowed)) continue;
      for (const double part : {0.1, 0.01}) {
        const Slopes s = slopes_at(p.element, part * options.step);
        const double may_differ = allowed + rounding / part;
        // Curvature's gap between the sides shrinks with the step; a kink's, at the element itself, stays.
        const bool stays = std::abs(s.above - s.below) > 0.5 * std::abs(p.first.above - p.first.below);
        if (agrees(p, s.across, may_differ) ||
            (stays && (agrees(p, s.below, may_differ) || agrees(p, s.above, may_differ)))) {
          ++result.kinks;
          break;
        }
      }
    }
    const Pair& worst = *std::max_element(pairs.begin(), pairs.end(),
                                          [](const Pair& a, const Pair& b) { return a.used < b.used; });
    result.worst = std::max(result.worst, worst.used);
    result.report += fmt::format(
        "{}{} {}: worst at element {}: backward says {:.12g}, differences say {:.12g}; error {:.3g}, {:.3g} "
        "of "
        "the allowed {:.3g}\n",
        worst.used > 1 ? "WRONG " : "", name, to_string(leaves[k].shape()), worst.element, worst.said,
        worst.measured, std::abs(worst.said - worst.measured), worst.used, allowed);
  }
  result.passed = result.worst <= 1;
  return result;
}

}  // namespace reprise
