// Products of matrices, in f32 or f64 (by ref, see dtype.h).
#pragma once

#include "engine/core/tensor.h"
#include "engine/kernels/args.h"

namespace reprise::ops {

// Computes y = x w^T + b.  x (N,I), w (O,I), b (O) or undefined, y (N,O).
REPRISE_API Tensor linear(const Tensor& x, const Tensor& w, const Tensor& b = {});

// Computes y = op(a) op(b), with op(a) (M,K), op(b) (K,N) and y (M,N). With args.transpose_a pass a
// as (K,M); with args.transpose_b pass b as (N,K).
REPRISE_API Tensor matmul(const Tensor& a, const Tensor& b, const MatmulArgs& args = {});

}  // namespace reprise::ops
