// Softmax along the last dimension of a matrix, and the loss of classification.
#pragma once

#include "engine/core/tensor.h"

namespace reprise::ops {

REPRISE_API Tensor softmax(const Tensor& x);      // (M,C)
REPRISE_API Tensor log_softmax(const Tensor& x);  // (M,C)

// The mean over the batch of -log softmax(logits)[label]. logits (N,C), labels i64 (N) in 0..C-1 (Error
// otherwise). A scalar.
REPRISE_API Tensor cross_entropy(const Tensor& logits, const Tensor& labels);

// i64 (M): the first largest of each row. No gradient.
REPRISE_API Tensor argmax_rows(const Tensor& x);

}  // namespace reprise::ops
