#include "engine/autograd/gradcheck.h"

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

// Computes d(sum of weights * f)/d(element) by a central difference.
// Subtracts output by output, where the differences are small, and sums afterwards.
double difference(const Function& f, const std::vector<Tensor>& inputs, Tensor moved, std::int64_t element,
                  double step, const Tensor& weights) {
  const double x = moved.data<double>()[element];
  const double high = x + step, low = x - step;
  moved.mutable_data<double>()[element] = high;
  const Tensor above = f(inputs).clone();
  moved.mutable_data<double>()[element] = low;
  const Tensor below = f(inputs).clone();
  moved.mutable_data<double>()[element] = x;
  double sum = 0;
  for (std::int64_t i = 0; i < weights.numel(); ++i)
    sum += weights.data<double>()[i] * (above.data<double>()[i] - below.data<double>()[i]);
  return sum / (high - low);
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
    REPRISE_CHECK(grad(leaves[k]).defined(), "gradcheck: backward left no gradient in input {}", k);
    struct Pair {
      std::int64_t element;
      double said, measured;
    };
    std::vector<Pair> pairs;
    double largest = 0.01;
    for (const std::int64_t e : chosen(leaves[k].numel(), options.max_elements, k)) {
      const double measured = difference(f, leaves, leaves[k], e, options.step, weights);
      pairs.push_back({e, grad(leaves[k]).data<double>()[e], measured});
      largest = std::max(largest, std::abs(measured));
    }
    const double allowed = options.tolerance * largest + rounding;
    Pair worst = pairs.front();
    const auto used = [&](const Pair& p) {
      const double error = std::abs(p.said - p.measured) / allowed;
      return std::isnan(error) ? HUGE_VAL : error;
    };
    for (const Pair& p : pairs)
      if (used(p) > used(worst)) worst = p;
    result.worst = std::max(result.worst, used(worst));
    result.report += fmt::format(
        "input {} {}: worst at element {}: backward says {:.12g}, differences say {:.12g}; error {:.3g}, "
        "{:.3g} of "
        "the allowed {:.3g}\n",
        k, to_string(leaves[k].shape()), worst.element, worst.said, worst.measured,
        std::abs(worst.said - worst.measured), used(worst), allowed);
  }
  result.passed = result.worst <= 1;
  return result;
}

}  // namespace reprise
