// The updates of optimizers, in place; outside any gradient.
#pragma once

#include "engine/core/tensor.h"
#include "engine/kernels/args.h"

namespace reprise::ops {

// One step of stochastic gradient descent, in PyTorch's order of operations. gradient and momentum have the
// parameter's shape and dtype; momentum may be undefined where args.momentum is 0.
REPRISE_API void sgd_step(Tensor& parameter, const Tensor& gradient, Tensor& momentum, const SgdArgs& args);

// One step of Adam or AdamW (Kingma and Ba, 2015; Loshchilov and Hutter, 2019). m and v are the running means
// of the gradient and of its square.
REPRISE_API void adam_step(Tensor& parameter, const Tensor& gradient, Tensor& m, Tensor& v,
                           const AdamArgs& args);

}  // namespace reprise::ops
