// Sums and norms. Sums and means are f32 if x is bf16; a norm has no bf16 form.
#pragma once

#include <vector>

#include "engine/core/tensor.h"
#include "engine/kernels/args.h"

namespace reprise::ops {

REPRISE_API Tensor sum(const Tensor& x);   // over all elements; a scalar (rank 0)
REPRISE_API Tensor mean(const Tensor& x);  // over all elements, at least one; a scalar
// Sums over every dimension but the last: (...,C) -> (C).
REPRISE_API Tensor sum_rows(const Tensor& x);

// Reduce dimension `dim` (negative: from the innermost), which must have elements and is gone from
// the result; its dtype is x's. Of several largest values, the first gets max's gradient.
REPRISE_API Tensor sum(const Tensor& x, int dim);
REPRISE_API Tensor mean(const Tensor& x, int dim);
REPRISE_API Tensor max(const Tensor& x, int dim);

// Computes the sum of the tensors' norms, a scalar (see NormKind). A norm of 0 has gradient 0.
// Throws Error if there is no tensor, or one without elements.
REPRISE_API Tensor norm(const std::vector<Tensor>& x, NormKind kind);
REPRISE_API Tensor norm(const Tensor& x, NormKind kind);

// norms_of computes the same sum and each row's norm. It records no gradient: optimizer steps add the
// norms' gradients themselves.
struct Norms {
  Tensor sum;                // a scalar
  std::vector<Tensor> each;  // f64: the norms of each tensor's rows
};
REPRISE_API Norms norms_of(const std::vector<Tensor>& x, NormKind kind);

}  // namespace reprise::ops
