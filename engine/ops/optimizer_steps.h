// The updates of optimizers, in place, in f32 or f64. They record no gradient.
#pragma once

#include "engine/core/tensor.h"
#include "engine/kernels/args.h"

namespace reprise::ops {

// Makes one step of stochastic gradient descent, in PyTorch's order of operations. All tensors have
// the parameter's shape and dtype. Also updates `momentum`, which may be undefined if args.momentum
// is 0.
REPRISE_API void sgd_step(Tensor& parameter, const Tensor& gradient, Tensor& momentum, const SgdArgs& args);

// Makes one step of Adam or AdamW (Kingma and Ba, 2015; Loshchilov and Hutter, 2019). All tensors
// have the parameter's shape and dtype. Also updates m and v, the running means of
// the gradient and its square.
REPRISE_API void adam_step(Tensor& parameter, const Tensor& gradient, Tensor& m, Tensor& v,
                           const AdamArgs& args);

}  // namespace reprise::ops
