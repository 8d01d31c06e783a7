// The updates of optimizers, in place, in f32 or f64. They record no gradient.
#pragma once

#include <vector>

#include "engine/core/tensor.h"
#include "engine/kernels/args.h"

namespace reprise::ops {

// One parameter with the other tensors of its update. All but `norms` have its shape and dtype.
struct Update {
  Tensor parameter, gradient;
  std::vector<Tensor> buffers;  // updated with the parameter
  Tensor norms = {};            // f64, from norms_of; undefined unless the parameter is penalised
};

// Return the `rates` of a step, f64 on the host; a step takes a copy on the parameters' device.
// Adam counts steps from 1.
REPRISE_API Tensor sgd_rates(double lr, bool first);
REPRISE_API Tensor adam_rates(double lr, std::int64_t step, const AdamArgs& args);

// Makes one step of stochastic gradient descent, in PyTorch's order of operations, for all
// parameters at once. The buffer is the momentum; there is none if args.momentum is 0.
REPRISE_API void sgd_step(std::vector<Update>& updates, const Tensor& rates, const SgdArgs& args);

// Makes one step of Adam or AdamW (Kingma and Ba, 2015; Loshchilov and Hutter, 2019). The buffers
// are m and v, the running means of g and g^2.
REPRISE_API void adam_step(std::vector<Update>& updates, const Tensor& rates, const AdamArgs& args);

}  // namespace reprise::ops
