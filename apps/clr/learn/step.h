// One step of training, and evaluation: the whole of the algorithm's arithmetic.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "apps/clr/learn/recipe.h"
#include "data/loader/image_store.h"
#include "layers/network.h"
#include "optim/optimizer.h"

namespace reprise::clr {

// Where logits come from: the images through the whole network; or, where only the head is trained
// and batch norm uses its running statistics, features computed once: both give the same bits.
class Inputs {
 public:
  // `store` must outlive this. Computes the features now if `features_once`; else a GPU with room
  // gets all images now, and batches are gathered there.
  Inputs(layers::Network& network, const data::ImageStore& store, Device device, DType dtype,
         bool features_once);
  Tensor logits(std::span<const std::int64_t> indices);  // (N,classes)
  Tensor labels(std::span<const std::int64_t> indices) const;
  const std::string& path(std::int64_t index) const;  // of an image
  std::int64_t count() const { return store_.count(); }
  int size() const { return store_.size(); }  // pixels

 private:
  void put_on_gpu();
  Tensor normalised(std::span<const std::int64_t> indices) const;  // (N,H,W,3)
  layers::Network& network_;
  const data::ImageStore& store_;
  Device device_;
  DType dtype_;
  Tensor features_;  // (count,F) on the host; undefined where the whole network runs
  Tensor on_gpu_;    // all images, u8, where they were put there
};

// What to do where numbers are not finite without any update's doing.
inline constexpr const char* backbone_at_fault =
    "the backbone's numbers are too large for this computation (`clr train --anomaly` names the layer); "
    "another "
    "backbone or --dtype f64 may help";

struct Evaluation {
  double accuracy = 0, loss = 0;  // loss: the mean cross-entropy
};
// In evaluation mode, without recording; the mode is put back. The loss may be no finite number:
// the caller checks it.
Evaluation evaluate(layers::Network& network, Inputs& inputs);

// What the network takes an image for, and how probable it finds that (softmax of the logits).
struct PredictedLabel {
  std::int64_t label = 0;
  double probability = 0;
};
// Of every image, likewise in evaluation mode. Error where a logit is not finite, naming the image.
std::vector<PredictedLabel> predicted_labels(layers::Network& network, Inputs& inputs);

// Throws Error, naming the image, where one of the logits (one image a row) is not finite.
void check_logits(const Tensor& logits, const std::function<std::string(std::int64_t row)>& image);

struct StepResult {
  double loss = 0;           // cross-entropy and penalty, the constant of the frozen tensors in it
  double cross_entropy = 0;  // the mean over the batch
  std::int64_t correct = 0;
};

class Learner {
 public:
  Learner(layers::Network& network, const Recipe& recipe);
  // Forward, backward, update. Error, with what may help, if the loss is not finite.
  StepResult step(Inputs& inputs, std::span<const std::int64_t> indices);
  optim::Optimizer& optimizer() { return *optimizer_; }

 private:
  std::unique_ptr<optim::Optimizer> optimizer_;
  std::optional<NormKind> penalty_;
  double lambda_, frozen_penalty_ = 0;
  std::vector<Tensor> regularised_;
};

}  // namespace reprise::clr
