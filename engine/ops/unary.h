// Element-wise functions of one tensor. The result has the same shape and, except for cast, dtype.
#pragma once

#include "engine/core/tensor.h"

namespace reprise::ops {

REPRISE_API Tensor relu(const Tensor& x);   // max(x, 0); gradient 0 at 0; NaN stays NaN
REPRISE_API Tensor relu6(const Tensor& x);  // min(max(x, 0), 6); gradient 0 at 0 and at 6
REPRISE_API Tensor gelu(const Tensor& x);   // x P(Z < x), Z standard normal; the exact form, no tanh
// Returns min(max(x, low), high); the gradient is 1 at the bounds too. Throws Error if low > high.
REPRISE_API Tensor clamp(const Tensor& x, double low, double high);
REPRISE_API Tensor exp(const Tensor& x);
REPRISE_API Tensor log(const Tensor& x);
REPRISE_API Tensor sqrt(const Tensor& x);
REPRISE_API Tensor tanh(const Tensor& x);
REPRISE_API Tensor sigmoid(const Tensor& x);  // 1 / (1 + exp(-x))

// Converts x to a floating dtype, rounding to nearest; returns x itself if nothing changes.
REPRISE_API Tensor cast(const Tensor& x, DType dtype);

}  // namespace reprise::ops
