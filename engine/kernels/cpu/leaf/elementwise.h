// Element-wise leaf functions over n floats.
#pragma once

#include <cstdint>

#include "engine/kernels/cpu/isa.h"

namespace reprise::kernels::cpu {

struct ElementwiseLeaf {
  void (*relu_fwd)(const float* x, float* y, std::int64_t n);
  void (*relu_bwd)(const float* y, const float* dy, float* dx, std::int64_t n);
};
REPRISE_LEAF(ElementwiseLeaf, elementwise_leaf)

}  // namespace reprise::kernels::cpu
