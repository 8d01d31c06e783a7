// One training step and evaluation: all arithmetic of the algorithm.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "apps/clr/learn/recipe.h"
#include "data/loader/image_store.h"
#include "layers/network.h"
#include "optim/optimizer.h"

namespace reprise::clr {

// Computes logits of images by their index. Runs the whole network, or only its head on features
// that were computed once. The latter gives the same bits if only the head is trained and batch
// norm uses its running statistics.
class Inputs {
 public:
  // `network` and `store` must outlive this. With `features_once`, computes all features now.
  // Otherwise copies all images to a GPU that has room, where batches are then gathered.
  Inputs(layers::Network& network, const data::ImageStore& store, Device device, DType dtype,
         bool features_once);
  Tensor logits(std::span<const std::int64_t> indices);        // (N,classes), on `device`
  Tensor labels(std::span<const std::int64_t> indices) const;  // (N) i64, on `device`
  std::int64_t count() const { return store_.count(); }
  int size() const { return store_.size(); }  // pixels

 private:
  void put_on_gpu();
  Tensor normalised(std::span<const std::int64_t> indices) const;  // (N,H,W,3)
  layers::Network& network_;
  const data::ImageStore& store_;
  Device device_;
  DType dtype_;
  Tensor features_;  // (count,F) on the host; undefined if the whole network runs
  Tensor on_gpu_;    // all images, u8 (count,H,W,3); undefined if they stay on the host
};

struct Evaluation {
  double accuracy = 0, loss = 0;  // accuracy in [0,1]; loss: the mean cross-entropy
};
// Evaluates all images in evaluation mode, without recording gradients.
Evaluation evaluate(layers::Network& network, Inputs& inputs);

// The label with the largest logit, and its softmax.
struct PredictedLabel {
  std::int64_t label = 0;
  double probability = 0;
};
// Predicts every image's label in evaluation mode, in the order of the images.
std::vector<PredictedLabel> predicted_labels(layers::Network& network, Inputs& inputs);

struct StepResult {
  double loss = 0;           // cross-entropy + penalty; the frozen tensors' penalty is included
  double cross_entropy = 0;  // mean over the batch
  std::int64_t correct = 0;  // images whose largest logit is their label's
};

// Trains a network step by step by the recipe's optimizer and penalty.
class Learner {
 public:
  Learner(layers::Network& network, const Recipe& recipe);
  // Computes the loss and gradients of a batch and updates the
  // parameters. Throws Error if the loss is not finite.
  StepResult step(Inputs& inputs, std::span<const std::int64_t> indices);
  optim::Optimizer& optimizer() { return *optimizer_; }

 private:
  std::unique_ptr<optim::Optimizer> optimizer_;
  double lambda_, frozen_penalty_ = 0;  // frozen_penalty_: the frozen tensors' part of the loss, a constant
};

}  // namespace reprise::clr
