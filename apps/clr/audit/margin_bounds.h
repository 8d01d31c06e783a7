// How far rounding may move the margins of a network's predictions, to first order.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/ops/error_bound.h"
#include "layers/network.h"

namespace reprise::clr {

struct MarginOptions {
  bool bf16 = false;     // whether the computations that are bounded store bf16
  double lambda = 6;     // of the probabilistic bounds
  double settled = 8;    // classes whose margin is so many times the bound get no pass; 0: all get one
  bool second = false;   // also computes margins and bounds at activations that their bounds have moved
  double own_error = 0;  // of the margins, in bounds: 0 if they are computed in double, 1 in f32
};

// With g the margin's gradient, and an error of at most n u T in every output:
//   worst     sum |g| n u T                  whatever the roundings are
//   probable  sum |g| min(n, lambda sqrt(n)) u T     Higham and Mary (2019): roundings of one sum are
//             independent, with mean 0; a sum exceeds it with probability 2 exp(-lambda^2 / 2)
//   root      lambda sqrt(sum (g sqrt(n) u T)^2)     roundings of different outputs are, too
struct Bound {
  double worst = 0, probable = 0, root = 0;
};

struct ImageMargin {
  std::int64_t label = 0, rival = 0;  // the class, and of the others the one whose margin / bound is least
  double margin = 0;
  Bound bound;
  bool worst = false, probable = false, root = false;  // whether every examined margin exceeds its bound
  std::int64_t passes = 0;                             // how many other classes were examined
  // With `second`, for the runner-up: the margin's fall when each output is moved by its worst bound,
  // and the bound there, both divided by the worst bound. Both are 1 if the network is linear there.
  double fall = 0, moved_bound = 0;
  std::vector<double> logits;
};

class MarginBounds {
 public:
  // The network computes on the host, in evaluation mode. Its tensors lose their marks for gradients.
  MarginBounds(layers::Network& network, const MarginOptions& options);
  // Examines a batch of u8 images (N,H,W,3). Throws Error, by name, for an op that says no bound.
  std::vector<ImageMargin> examine(const Tensor& images);
  // By layer and op: the share in the worst bound for the runner-up, summed over all images.
  const std::map<std::pair<std::string, std::string>, double>& layers() const { return layers_; }

 private:
  // An op that rounds, in the order of the forward.
  struct Told {
    std::string layer, op;
    Tensor y;
    ops::ErrorTerms terms;
    Tensor shift;  // the bound of each output, with the sign of its gradient
  };
  using Labels = std::vector<std::int64_t>;
  void forward(const Tensor& images, bool moves);
  std::vector<std::vector<Bound>> backward(const Labels& labels, const Labels& rivals);  // [image][op]
  Bound bound(const Told& told, std::int64_t image) const;
  void set_shifts();

  layers::Network& network_;
  MarginOptions o_;
  Tensor logits_;
  std::vector<Told> told_;
  std::map<std::pair<std::string, std::string>, double> layers_;
};

}  // namespace reprise::clr
