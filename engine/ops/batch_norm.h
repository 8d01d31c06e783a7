// Batch normalisation (Ioffe and Szegedy, 2015) over every dimension but the last.
#pragma once

#include "engine/core/tensor.h"
#include "engine/kernels/args.h"

namespace reprise::ops {

// gamma, beta, mean, var: (C).
struct BatchNormResult {
  Tensor y;          // like x
  Tensor mean, var;  // of this batch, var biased; no gradient flows to them
};

// Normalises with the batch's own mean and biased variance. Error where a channel has a single value.
REPRISE_API BatchNormResult batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                                       const BatchNormArgs& args = {});

// Normalises with given statistics, which are constants: y = (x - mean) / sqrt(var + eps) * gamma + beta.
REPRISE_API Tensor batch_norm_eval(const Tensor& x, const Tensor& mean, const Tensor& var,
                                   const Tensor& gamma, const Tensor& beta, const BatchNormArgs& args = {});

// In place: running = (1 - momentum) * running + momentum * batch, the variance made unbiased for `count`
// values per channel.
REPRISE_API void update_running_stats(const BatchNormResult& batch, std::int64_t count, Tensor& running_mean,
                                      Tensor& running_var, const BatchNormArgs& args = {});

}  // namespace reprise::ops
