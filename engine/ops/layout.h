// Ops that move elements and compute nothing.
#pragma once

#include <utility>
#include <vector>

#include "engine/core/tensor.h"

namespace reprise::ops {

// Returns the same elements, row-major, in another shape of as many elements. Shares x's storage.
REPRISE_API Tensor reshape(const Tensor& x, const Shape& shape);
// Returns the rows [begin, end) of the leading dimension. Shares x's storage.
REPRISE_API Tensor slice(const Tensor& x, std::int64_t begin, std::int64_t end);
// Surrounds x with zeros. `amounts` holds {before, after} for each dimension.
REPRISE_API Tensor pad(const Tensor& x, const std::vector<std::pair<std::int64_t, std::int64_t>>& amounts);
// Takes every step-th element from begin on, in each dimension. A dimension's size becomes
// (size - begin + step - 1) / step. begin and step hold one number per dimension.
REPRISE_API Tensor stride_slice(const Tensor& x, const std::vector<std::int64_t>& begin,
                                const std::vector<std::int64_t>& step);
// Returns the matrix y (N,M) with y[j,i] = x[i,j].
REPRISE_API Tensor transpose(const Tensor& x);
// Joins at least one tensor along dim (negative: from the innermost); all other sizes must agree.
REPRISE_API Tensor concat(const std::vector<Tensor>& parts, int dim);

}  // namespace reprise::ops
