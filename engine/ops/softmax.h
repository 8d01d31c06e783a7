// Softmax along the rows of a matrix (M,C), and the loss of classification, in f32 or f64
// (f64 by ref, see dtype.h).
#pragma once

#include "engine/core/tensor.h"

namespace reprise::ops {

REPRISE_API Tensor softmax(const Tensor& x);      // exp(x) / sum of exp(x)
REPRISE_API Tensor log_softmax(const Tensor& x);  // the logarithm of softmax(x)

// Computes the mean over the batch of -log softmax(logits)[label], a scalar. logits (N,C),
// labels i64 (N). Throws Error if a label is not in 0..C-1; on a GPU labels are not checked.
// With label smoothing s, 0 <= s <= 1, the target is 1 - s + s/C for the label and s/C for the rest.
REPRISE_API Tensor cross_entropy(const Tensor& logits, const Tensor& labels, double smoothing = 0);

// Returns the column of each row's first largest value, i64 (M). No gradient flows through it.
REPRISE_API Tensor argmax_rows(const Tensor& x);

}  // namespace reprise::ops
