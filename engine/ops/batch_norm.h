// Batch normalisation (Ioffe and Szegedy, 2015) over every dimension but the last:
//   y = (x - mean) / sqrt(var + eps) * gamma + beta
// x is (...,C), of rank 2 or more; gamma, beta, mean and var are (C), in f32 if x is bf16.
#pragma once

#include "engine/core/tensor.h"
#include "engine/kernels/args.h"

namespace reprise::ops {

struct BatchNormResult {
  Tensor y;          // of x's shape and dtype
  Tensor mean, var;  // the batch's mean and biased variance; no gradient flows through them
};

// Normalises with the batch's mean and biased variance. Throws Error if a channel has one value.
REPRISE_API BatchNormResult batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                                       const BatchNormArgs& args = {});

// Normalises with the given statistics. They are constants: throws Error if mean or var wants a
// gradient.
REPRISE_API Tensor batch_norm_eval(const Tensor& x, const Tensor& mean, const Tensor& var,
                                   const Tensor& gamma, const Tensor& beta, const BatchNormArgs& args = {});

// Moves the running statistics towards a batch's, in place. `count` is the batch's number of values
// per channel, x.numel() / C, at least 2.
//   running_mean = (1 - momentum) * running_mean + momentum * mean
//   running_var  = (1 - momentum) * running_var  + momentum * var * count / (count - 1)
REPRISE_API void update_running_stats(const BatchNormResult& batch, std::int64_t count, Tensor& running_mean,
                                      Tensor& running_var, const BatchNormArgs& args = {});

}  // namespace reprise::ops
