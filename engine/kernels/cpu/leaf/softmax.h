// Softmax and log-softmax of one row of n values, and their gradients.
#pragma once

#include <cstdint>

#include "engine/kernels/cpu/base/isa.h"

namespace reprise::kernels::cpu {

struct SoftmaxLeaf {
  void (*softmax_fwd)(const float* x, float* y, std::int64_t n);
  void (*softmax_bwd)(const float* y, const float* dy, float* dx, std::int64_t n);
  void (*log_softmax_fwd)(const float* x, float* y, std::int64_t n);
  void (*log_softmax_bwd)(const float* y, const float* dy, float* dx, std::int64_t n);
  // dlogits = (exp(log_probs) - onehot(label)) * scale
  void (*cross_entropy_bwd)(const float* log_probs, std::int64_t label, float scale, float* dlogits,
                            std::int64_t n);
};
REPRISE_LEAF(SoftmaxLeaf, softmax_leaf)

}  // namespace reprise::kernels::cpu
