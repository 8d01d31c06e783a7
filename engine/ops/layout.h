// Ops that move elements without computing.
#pragma once

#include <utility>
#include <vector>

#include "engine/core/tensor.h"

namespace reprise::ops {

// The same elements, row-major, in another shape; shares storage.
REPRISE_API Tensor reshape(const Tensor& x, const Shape& shape);
// Rows [begin, end) of the leading dimension; shares storage.
REPRISE_API Tensor slice(const Tensor& x, std::int64_t begin, std::int64_t end);
// Zeros put before and after, per dimension: {before, after} for each.
REPRISE_API Tensor pad(const Tensor& x, const std::vector<std::pair<std::int64_t, std::int64_t>>& amounts);
// Every step-th element from begin on, per dimension: size (dim - begin + step - 1) / step.
REPRISE_API Tensor stride_slice(const Tensor& x, const std::vector<std::int64_t>& begin,
                                const std::vector<std::int64_t>& step);
// Joined along dim (negative: from the end); all other sizes equal. At least one tensor.
REPRISE_API Tensor concat(const std::vector<Tensor>& parts, int dim);

}  // namespace reprise::ops
