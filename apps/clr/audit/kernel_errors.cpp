#include "apps/clr/audit/kernel_errors.h"

#include <algorithm>
#include <cmath>

#include "apps/clr/learn/anomaly.h"
#include "apps/clr/learn/surroundings.h"
#include "engine/base/check.h"
#include "engine/kernels/allowance.h"

namespace reprise::clr {
namespace {

// Returns the unit in the last place: the distance between
// `value` and the next number of that dtype.
double ulp(double value, DType dtype) {
  const int digits = dtype == DType::f64 ? 53 : dtype == DType::bf16 ? 8 : 24;
  // The exponent of the smallest normal number; in double a
  // larger one, so that the ulp is normal, too.
  const int smallest = dtype == DType::f64 ? -960 : -126;
  const int exponent = value == 0 ? smallest : std::max(std::ilogb(value), smallest);
  return std::ldexp(1.0, exponent - digits + 1);
}

void compare(KernelErrors& e, const View& got, const double* want, DType dtype) {
  double largest = 0, worst = 0;
  for (std::int64_t i = 0; i < got.numel(); ++i) {
    const double value = got.value(i);
    largest = std::max(largest, std::abs(want[i]));
    const bool alike = value == want[i] || (std::isnan(value) && std::isnan(want[i]));
    const double error = alike ? 0 : std::abs(value - want[i]);
    // The value is not finite and the reference is.
    worst = std::isnan(error) ? HUGE_VAL : std::max(worst, error);
    const double ulps = error == 0 || want[i] == 0 ? 0 : error / ulp(want[i], got.dtype);
    e.largest_ulps = std::isnan(ulps) ? HUGE_VAL : std::max(e.largest_ulps, ulps);
    e.sum_ulps += ulps;
  }
  e.values += got.numel();
  if (worst == 0) return;
  const bool finite = std::isfinite(worst) && std::isfinite(largest);
  e.relative = std::max(e.relative, finite && largest > 0 ? worst / largest : HUGE_VAL);
  e.share = std::max(e.share, finite ? worst / (kernel_allowance(dtype) * largest + 1e-30) : HUGE_VAL);
}

}  // namespace

void ErrorProbe::after(const KernelCall& call) {
  const std::string ran_on = fmt::format("{} {}{}", to_string(call.device), name_of(call.dtype),
                                         call.device == cpu_device ? " " + instruction_set(call.device) : "");
  KernelErrors& e = kernels[{call.name, ran_on}];
  e.name = call.name;
  e.ran_on = ran_on;
  ++e.calls;
  for (std::size_t k = 0; k < call.operands.size(); ++k)
    if (call.operands[k].written && call.operands[k].view && is_floating(call.operands[k].view.dtype))
      compare(e, call.operands[k].view, call.reference[k].data<double>(), call.dtype);
}

}  // namespace reprise::clr
