// Running a network over more images than fit at once.
#pragma once

#include <cstdint>
#include <vector>

#include "layers/network.h"

namespace reprise::clr {

// How many images a pass in evaluation mode takes; no result depends on it.
inline constexpr std::int64_t eval_batch = 32;

// Throws Error unless they are u8 (N,H,W,3), one at least.
void check_images(const Tensor& images);
// u8 (N,H,W,3) on the host -> normalised, in the dtype of the network's images and on the device of its head.
Tensor normalised(layers::Network& network, const Tensor& images);

// While it lives, the network is in evaluation mode.
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
// In evaluation mode, recording no gradient; the mode is put back.
Outputs outputs_of(layers::Network& network, const Tensor& images, std::int64_t batch = eval_batch);
// Makes every parameter a trained one, in memory of its own.
void thaw(layers::Network& network);

// One output of the network, batch after batch.
class Gathered {
 public:
  void add(const Tensor& part);
  const Tensor& last() const { return parts_.back(); }
  Tensor joined() const;  // along the leading dimension

 private:
  std::vector<Tensor> parts_;
  std::int64_t rows_ = 0;
};

}  // namespace reprise::clr
