#include "engine/cases/run_case.h"

#include <algorithm>

#include "engine/autograd/autograd.h"
#include "engine/base/check.h"

namespace reprise::cases {
namespace {

Tensor output_gradient(const Case& c, const Tensor& y) {
  Case sampled_by(c.name + " seed");
  sampled_by.integers = c.integers;
  const Tensor sampled = sampled_by.normal("seed", y.shape()).value;
  return (c.on_bf16_values ? sampled.to(DType::bf16) : sampled).to(y.dtype()).to(y.device());
}

}  // namespace

Inputs inputs_on(const Case& c, const Target& target) {
  Inputs inputs;
  for (const Input& in : c.inputs) {
    const DType dtype = in.parameter ? parameter_dtype(target.dtype) : target.dtype;
    Tensor t = is_floating(in.value.dtype()) ? in.value.to(dtype) : in.value;
    t = (t.dtype() == in.value.dtype() ? t.clone() : t).to(target.device);
    if (in.gradient) set_requires_grad(t);
    inputs.push_back(t);
  }
  return inputs;
}

std::vector<Result> run_case(const Case& c, const Target& target) {
  const Inputs inputs = inputs_on(c, target);
  const std::vector<Tensor> outputs = c.run(inputs);
  std::vector<Result> results;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const DType got = outputs[i].dtype();
    const bool right_dtype = !is_floating(got) || got == target.dtype || got == parameter_dtype(target.dtype);
    REPRISE_CHECK(right_dtype && outputs[i].device() == target.device, "{}: result {} is {} on {} {}", c.name,
                  i, describe(outputs[i]), to_string(target.device), name_of(target.dtype));
    results.push_back({fmt::format("result {}", i), outputs[i].detach()});
  }
  if (!requires_grad(outputs[0])) return results;
  backward(outputs[0], output_gradient(c, outputs[0]));
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!c.inputs[i].gradient) continue;
    const Tensor g = grad(inputs[i]);
    REPRISE_CHECK(g.defined() && g.dtype() == inputs[i].dtype() && g.device() == target.device,
                  "{}: the gradient of {} is {}", c.name, c.inputs[i].name, describe(g));
    results.push_back({"gradient of " + c.inputs[i].name, g});
  }
  return results;
}

std::int64_t size_of(const Case& c) {
  std::int64_t total = 0;
  for (const Input& in : c.inputs) total += in.value.numel();
  return total;
}

GradCheckResult check_gradients(const Case& c, std::int64_t elements) {
  const Inputs inputs = inputs_on(c, {ref_device, DType::f64});
  if (!c.by_differences ||
      std::none_of(inputs.begin(), inputs.end(), [](const Tensor& t) { return requires_grad(t); }))
    return {true, 0, "no gradient by differences\n"};
  return reprise::check_gradients([&](const Inputs& in) { return c.run(in)[0]; }, inputs,
                                  {.max_elements = elements});
}

}  // namespace reprise::cases
