// Runs a network in evaluation mode over many images, in batches.
#pragma once

#include <cstdint>
#include <vector>

#include "layers/network.h"

namespace reprise::clr {

// The number of images in a batch; no result depends on it.
inline constexpr std::int64_t eval_batch = 32;

// Throws Error unless the images are u8 (N,H,W,3) and at least one.
void check_images(const Tensor& images);
// Normalises u8 images (N,H,W,3) on the host. The result has the
// dtype of the network's images and the device of its head.
Tensor normalised(layers::Network& network, const Tensor& images);

// Keeps the network in evaluation mode while it lives, then restores the mode before.
class EvaluationMode {
 public:
  explicit EvaluationMode(layers::Network& network)
      : network_(network), was_training_(network.is_training()) {
    network_.train(false);
  }
  ~EvaluationMode() { network_.train(was_training_); }
  EvaluationMode(const EvaluationMode&) = delete;
  EvaluationMode& operator=(const EvaluationMode&) = delete;

 private:
  layers::Network& network_;
  bool was_training_;
};

struct Outputs {
  Tensor features, logits;  // (N,F), (N,classes), on the network's device
};
// Computes features and logits of u8 images (N,H,W,3) in
// evaluation mode, without recording gradients.
Outputs outputs_of(layers::Network& network, const Tensor& images);
// Replaces every tensor of the network by a copy that is not sealed, and
// requires a gradient of every parameter.
void thaw(layers::Network& network);

// Collects one output of the network batch by batch.
class Gathered {
 public:
  void add(const Tensor& part);
  const Tensor& last() const { return parts_.back(); }
  Tensor joined() const;  // all parts, joined along the leading dimension

 private:
  std::vector<Tensor> parts_;
  std::int64_t rows_ = 0;
};

}  // namespace reprise::clr
