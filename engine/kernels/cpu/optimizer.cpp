// Optimizer steps, in place.
#include <cmath>

#include "engine/base/parallel.h"
#include "engine/kernels/cpu/leaf/optimizer.h"
#include "engine/kernels/kernels.h"

namespace reprise::kernels::cpu {
namespace {

constexpr std::int64_t chunk = 1 << 15;

float narrow(double v) {
  return static_cast<float>(v);
}

}  // namespace

template <>
void sgd_step<float>(const SgdArgs& a, View grad, MutView param, MutView momentum) {
  const SgdNumbers numbers{
      narrow(a.lr),        narrow(a.weight_decay), narrow(a.momentum), narrow(1 - a.dampening),
      a.weight_decay != 0, a.momentum != 0,        a.nesterov,         a.first};
  parallel_for(param.numel(), chunk, [&](std::int64_t b, std::int64_t e) {
    optimizer_leaf().sgd(numbers, grad.data<float>() + b, param.data<float>() + b,
                         momentum ? momentum.data<float>() + b : nullptr, e - b);
  });
}

template <>
void adam_step<float>(const AdamArgs& a, View grad, MutView param, MutView m, MutView v) {
  const double step = static_cast<double>(a.step);
  AdamNumbers numbers{};
  numbers.decay = narrow(a.weight_decay);
  numbers.shrink = narrow(1 - a.lr * a.weight_decay);
  numbers.take1 = narrow(1 - a.beta1);
  numbers.beta2 = narrow(a.beta2);
  numbers.take2 = narrow(1 - a.beta2);
  numbers.eps = narrow(a.eps);
  numbers.rate = narrow(a.lr / (1 - std::pow(a.beta1, step)));
  numbers.correction = narrow(std::sqrt(1 - std::pow(a.beta2, step)));
  numbers.has_decay = a.weight_decay != 0;
  numbers.decoupled = a.decoupled;
  parallel_for(param.numel(), chunk, [&](std::int64_t b, std::int64_t e) {
    optimizer_leaf().adam(numbers, grad.data<float>() + b, param.data<float>() + b, m.data<float>() + b,
                          v.data<float>() + b, e - b);
  });
}

}  // namespace reprise::kernels::cpu
