// How far rounding may move the margins of a network's predictions, to first order.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "layers/network.h"

namespace reprise::clr {

struct MarginOptions {
  bool bf16 = false;    // whether the computations that are bounded store bf16
  bool exact = true;    // whether the network here is in f64; in f32 its own margins err by a bound, too
  double lambda = 6;    // of the probabilistic bound
  bool every = false;   // examine every class, also where the margin is 8 times the largest bound before
  bool second = false;  // also examine each image with all activations moved by their bounds
};

// With g the margin's gradient, and n roundings of at most u T each in every output:
//   worst     sum |g| n u T                       whatever the roundings are
//   probable  lambda sqrt(sum (g sqrt(n) u T)^2)  where they are independent with mean 0 (Higham and
//             Mary, 2019): exceeded with a probability of at most 2 exp(-lambda^2 / 2)
struct MarginBound {
  double worst = 0, probable = 0;
};

struct ImageMargin {
  std::int64_t label = 0, rival = 0;  // the class, and of the others the one whose margin / bound is least
  double margin = 0;
  MarginBound bound;
  bool worst = true, probable = true;  // whether every examined margin exceeds its bound
  std::int64_t examined = 0;           // how many other classes got a backward pass of their own
  // With `second`, for the runner-up: the margin's fall when each output moves against it by the
  // worst bound, and the worst bound there, in worst bounds. Both are 1 for a linear network.
  double fall = 0, moved_bound = 0;
  std::string verdict() const { return worst ? "yes" : probable ? "probably" : "no"; }
};

// Bounds the margins of u8 images (N,H,W,3). The network computes on the host, and is left in
// evaluation mode without marks for gradients. Adds to `layers`, by layer and op, the worst bound for
// the runner-up. Throws Error, by name, for an op that says no bound, and for less than two classes.
std::vector<ImageMargin> bound_margins(layers::Network& network, const Tensor& images,
                                       const MarginOptions& options, std::map<std::string, double>& layers);
// Bounds the cross-entropy of a training step in f32. `step` does it on ref in double, with backward.
MarginBound bound_loss(const std::function<void()>& step, double lambda);

}  // namespace reprise::clr
