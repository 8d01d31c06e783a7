#include "tests/ops/runner.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/base/check.h"
#include "engine/base/gpu.h"

namespace reprise::testing {
namespace {

// Compares one tensor with the other and adds to `sum`.
void compare_one(const Result& got, const Result& want, double tolerance, double terms, Comparison& sum) {
  const Tensor g = got.value.to(ref_device).to(DType::f64);
  Tensor w = want.value.to(ref_device).to(DType::f64);
  // If bf16 may only round once, the expected value is rounded to bf16.
  if (tolerance == 0 && got.value.dtype() == DType::bf16) w = w.to(got.value.dtype()).to(DType::f64);
  if (g.shape() != w.shape()) {
    sum.used = HUGE_VAL;
    sum.report += fmt::format("  {}: has shape {}, expected {}\n", got.name, to_string(g.shape()),
                              to_string(w.shape()));
    return;
  }
  double largest = terms, worst = -1;
  std::int64_t at = 0;
  for (const double v : w.values<double>())
    if (std::isfinite(v)) largest = std::max(largest, std::abs(v));
  for (std::int64_t i = 0; i < w.numel(); ++i) {
    const double a = g.data<double>()[i], b = w.data<double>()[i];
    const bool equal = a == b || (std::isnan(a) && std::isnan(b));
    const double error = equal ? 0 : std::isfinite(a) && std::isfinite(b) ? std::abs(a - b) : HUGE_VAL;
    if (error > worst) {
      worst = error;
      at = i;
    }
  }
  const double allowed = tolerance * largest, used = worst <= 0 ? 0 : worst / allowed;
  sum.used = std::max(sum.used, used);
  if (w.numel() == 0) return;
  sum.report +=
      fmt::format("  {}: element {} is {:.9g}, expected {:.9g}; used {:.3g} of the allowance {:.3g}\n",
                  got.name, at, g.data<double>()[at], w.data<double>()[at], used, allowed);
}

}  // namespace

std::string to_string(const Target& target) {
  return reprise::to_string(target.device) + " " + std::string(name_of(target.dtype));
}

std::vector<Target> targets(const std::string& device) {
  std::vector<Target> all{{ref_device, DType::f32}, {cpu_device, DType::f32}, {cpu_device, DType::bf16}};
  for (int i = 0; i < std::min(gpu::count(), 1); ++i)
    for (const DType dtype : {DType::f32, DType::bf16}) all.push_back({{Device::Kind::cuda, i}, dtype});
  if (device.empty()) return all;
  std::vector<Target> some;
  for (const Target& t : all)
    if (t.device == parse_device(device)) some.push_back(t);
  REPRISE_CHECK(!some.empty(), "test_ops: there is no backend for '{}' in this build, or no such device",
                device);
  return some;
}

Comparison compare(const std::vector<Result>& got, const std::vector<Result>& want, double tolerance,
                   double terms) {
  Comparison sum;
  if (got.size() != want.size()) {
    sum.report = fmt::format("  {} tensors, expected {}\n", got.size(), want.size());
    return sum;
  }
  for (std::size_t i = 0; i < got.size(); ++i) compare_one(got[i], want[i], tolerance, terms, sum);
  sum.passed = sum.used <= 1;
  return sum;
}

double allowance(const Case& c, DType dtype) {
  const bool exact = c.integers || dtype == DType::f64;
  if (dtype != DType::bf16) return exact ? 0 : c.tolerance;
  // One rounding to bf16 changes a value by at most 2^-8 of it.
  return exact && c.bf16_roundings == 1 ? 0 : c.tolerance + c.bf16_roundings / 256.0;
}

bool same_bits(const std::vector<Result>& a, const std::vector<Result>& b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    const Tensor on_host[] = {a[i].value.to(ref_device), b[i].value.to(ref_device)};
    const auto x = on_host[0].raw_bytes(), y = on_host[1].raw_bytes();
    if (x.size() != y.size() || (!x.empty() && std::memcmp(x.data(), y.data(), x.size()) != 0)) return false;
  }
  return a.size() == b.size();
}

}  // namespace reprise::testing
