// Element-wise functions of one tensor, which return a tensor of its shape and dtype.
#pragma once

#include "engine/core/tensor.h"

namespace reprise::ops {

REPRISE_API Tensor relu(const Tensor& x);  // max(x, 0); gradient 0 at 0; NaN stays NaN
REPRISE_API Tensor exp(const Tensor& x);
REPRISE_API Tensor log(const Tensor& x);
REPRISE_API Tensor sqrt(const Tensor& x);
REPRISE_API Tensor tanh(const Tensor& x);
REPRISE_API Tensor sigmoid(const Tensor& x);  // 1 / (1 + exp(-x))

// Returns x in another floating dtype, rounded to nearest, or x itself if it has that dtype.
// The gradient is cast back to x's dtype.
REPRISE_API Tensor cast(const Tensor& x, DType dtype);

}  // namespace reprise::ops
