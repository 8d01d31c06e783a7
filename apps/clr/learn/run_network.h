// Running a network over more images than fit at once.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/core/tensor.h"

namespace reprise::layers {
class Network;
}

namespace reprise::clr {

// How many images a pass in evaluation mode takes; no result depends on it.
inline constexpr std::int64_t eval_batch = 32;

// Throws Error unless they are u8 (N,H,W,3), one at least.
void check_images(const Tensor& images);
// u8 (N,H,W,3) on the host -> normalised, in the dtype of the network's images and on the device of its head.
Tensor normalised(layers::Network& network, const Tensor& images);

struct Outputs {
  Tensor features, logits;  // (N,F), (N,classes), on the network's device
};
// In evaluation mode (which it sets), recording no gradient.
Outputs evaluate(layers::Network& network, const Tensor& images, std::int64_t batch = eval_batch);

// One output of the network, batch after batch.
class Gathered {
 public:
  void add(const Tensor& part);
  const Tensor& last() const { return parts_.back(); }
  Tensor joined() const;  // along the leading dimension
  bool empty() const { return rows_ == 0; }

 private:
  std::vector<Tensor> parts_;
  std::int64_t rows_ = 0;
};

}  // namespace reprise::clr
