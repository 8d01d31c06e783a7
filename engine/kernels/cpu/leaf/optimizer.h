// Optimizer steps over n parameters, in place. ../../ref/optimizer.cpp has the formulas, and shows
// how these numbers follow from the options.
#pragma once

#include <cstdint>

#include "engine/kernels/cpu/base/isa.h"

namespace reprise::kernels::cpu {

struct SgdNumbers {
  float lr, decay, momentum, take;
  bool has_decay, has_momentum, nesterov, first;
};
struct AdamNumbers {
  float decay, shrink, take1, beta2, take2, eps, rate, correction;
  bool has_decay, decoupled;
};

struct OptimizerLeaf {
  void (*sgd)(const SgdNumbers& a, const float* grad, float* param, float* momentum, std::int64_t n);
  void (*adam)(const AdamNumbers& a, const float* grad, float* param, float* m, float* v, std::int64_t n);
};
REPRISE_LEAF(OptimizerLeaf, optimizer_leaf)

}  // namespace reprise::kernels::cpu
