// Penalties: terms added to a loss that keep parameters small.
#pragma once

#include <vector>

#include "engine/core/tensor.h"
#include "engine/kernels/args.h"

namespace reprise::optim {

// Returns the sum of the tensors' norms, a scalar:
// the norms themselves (NormKind), not their squares.
// A tensor whose norm is exactly 0 gets the gradient 0. Throws Error if there are no tensors.
REPRISE_API Tensor penalty(const std::vector<Tensor>& tensors, NormKind kind);

}  // namespace reprise::optim
