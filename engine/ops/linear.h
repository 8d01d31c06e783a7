// Products of matrices.
#pragma once

#include "engine/core/tensor.h"
#include "engine/kernels/args.h"

namespace reprise::ops {

// y = x w^T + b.  x (N,I), w (O,I), b (O) or undefined, result (N,O).
REPRISE_API Tensor linear(const Tensor& x, const Tensor& w, const Tensor& b = {});

// y = op(a) op(b) for matrices; a transposed operand is stored with its dimensions swapped. Result (M,N).
REPRISE_API Tensor matmul(const Tensor& a, const Tensor& b, const MatmulArgs& args = {});

}  // namespace reprise::ops
