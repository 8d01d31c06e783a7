#include "tests/ops/runner.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/autograd/autograd.h"
#include "engine/core/check.h"
#include "engine/core/gpu.h"

namespace reprise::testing {
namespace {

std::vector<Tensor> inputs_for(const Case& c, const Target& target) {
  std::vector<Tensor> inputs;
  for (const Input& in : c.inputs) {
    // A copy, so that in-place ops leave the case as it is.
    const DType dtype = in.parameter ? parameter_dtype(target.dtype) : target.dtype;
    Tensor t = is_floating(in.value.dtype()) ? in.value.to(dtype) : in.value;
    t = (t.dtype() == in.value.dtype() ? t.clone() : t).to(target.device);
    if (in.gradient) set_requires_grad(t);
    inputs.push_back(t);
  }
  return inputs;
}

Tensor seed_for(const Case& c, const Tensor& y) {
  Case seed(c.name + " seed");
  seed.integers = c.integers;
  const Tensor drawn = seed.normal("seed", y.shape()).value;
  return (c.on_bf16_values ? drawn.to(DType::bf16) : drawn).to(y.dtype()).to(y.device());
}

// One tensor against the other; adds to the comparison.
void compare_one(const Result& got, const Result& want, double tolerance, double terms, Comparison& sum) {
  const Tensor g = got.value.to(ref_device).to(DType::f64);
  Tensor w = want.value.to(ref_device).to(DType::f64);
  // Where bf16 may lose nothing but its one rounding, the wanted number is rounded so.
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

std::vector<Result> run_case(const Case& c, const Target& target) {
  const std::vector<Tensor> inputs = inputs_for(c, target);
  const std::vector<Tensor> outputs = c.run(inputs);
  std::vector<Result> results;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const DType got = outputs[i].dtype();
    const bool right_dtype = !is_floating(got) || got == target.dtype || got == parameter_dtype(target.dtype);
    REPRISE_CHECK(right_dtype && outputs[i].device() == target.device, "{}: result {} is {} on {}", c.name, i,
                  describe(outputs[i]), to_string(target));
    results.push_back({fmt::format("result {}", i), outputs[i].detach()});
  }
  if (!requires_grad(outputs[0])) return results;
  backward(outputs[0], seed_for(c, outputs[0]));
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!c.inputs[i].gradient) continue;
    const Tensor g = grad(inputs[i]);
    REPRISE_CHECK(g.defined() && g.dtype() == inputs[i].dtype() && g.device() == target.device,
                  "{}: the gradient of {} is {}", c.name, c.inputs[i].name, describe(g));
    results.push_back({"gradient of " + c.inputs[i].name, g});
  }
  return results;
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
  // bf16 rounds by half of 2^-7 at most.
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
