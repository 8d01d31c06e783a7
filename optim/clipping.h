// Gradient clipping.
#pragma once

#include <vector>

#include "engine/core/tensor.h"

namespace reprise::optim {

// Scales all gradients of the parameters by max_norm / (norm + 1e-6) if that is below 1, where norm is
// the l2 norm of all their numbers. Returns this norm. Skips parameters without a gradient.
// Call it between backward and step. Throws Error if the norm is not finite.
REPRISE_API double clip_gradients(const std::vector<Tensor>& parameters, double max_norm);

}  // namespace reprise::optim
