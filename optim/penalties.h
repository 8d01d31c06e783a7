// What is added to a loss to keep parameters small.
#pragma once

#include <vector>

#include "engine/core/tensor.h"
#include "engine/kernels/args.h"

namespace reprise::optim {

// The sum of the tensors' norms (see NormKind: the norms themselves, not their squares), a scalar; a tensor
// whose norm is exactly 0 has gradient 0. Error where there are no tensors.
REPRISE_API Tensor penalty(const std::vector<Tensor>& tensors, NormKind kind);

}  // namespace reprise::optim
