// Sums and norms. Of a bf16 tensor the sums and the mean are f32.
#pragma once

#include "engine/core/tensor.h"
#include "engine/kernels/args.h"

namespace reprise::ops {

REPRISE_API Tensor sum(const Tensor& x);   // of all elements; a scalar (rank 0)
REPRISE_API Tensor mean(const Tensor& x);  // of all elements; a scalar
// The sum over every dimension but the last: (...,C) -> (C).
REPRISE_API Tensor sum_rows(const Tensor& x);

// A norm of the whole tensor, a scalar; see NormKind. A norm of exactly 0 has gradient 0.
REPRISE_API Tensor norm(const Tensor& x, NormKind kind);

}  // namespace reprise::ops
