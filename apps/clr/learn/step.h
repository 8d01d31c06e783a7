// One training step and evaluation: all arithmetic of the algorithm.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "apps/clr/learn/recipe.h"
#include "data/loader/image_store.h"
#include "engine/base/gpu.h"
#include "layers/network.h"
#include "optim/optimizer.h"

namespace reprise::clr {

// The images of one step or one part of an evaluation.
struct Batch {
  std::vector<std::int64_t> indices;
  Tensor labels;  // (N) i64, on the network's device
  Tensor rows;    // the indices beside them, if the images lie on a GPU
};

// Computes logits of images by their index. Runs the whole network, or only its head on features
// that were computed once. The latter gives the same bits if only the head is trained and batch
// norm uses its running statistics.
class Inputs {
 public:
  // `network` and `store` must outlive this. With `features_once`, computes all features now.
  // Otherwise, if `device` is a GPU with room, copies all images to it; batches are gathered there.
  Inputs(layers::Network& network, const data::ImageStore& store, Device device, DType dtype,
         bool features_once);
  Batch batch(std::vector<std::int64_t> indices) const;
  // Replaces a batch by one of equal size, at the same addresses.
  void refill(Batch& batch, std::vector<std::int64_t> indices) const;
  Tensor logits(const Batch& batch);  // (N,classes), on `device`
  std::vector<std::int64_t> labels(std::span<const std::int64_t> indices) const;
  const std::string& path(std::int64_t index) const;  // of an image's file
  std::int64_t count() const { return store_.count(); }
  int size() const { return store_.size(); }  // pixels
  // Returns whether the images lie on a GPU: a step then uploads only indices and labels.
  bool on_gpu() const { return on_gpu_.defined(); }
  Device device() const { return device_; }

 private:
  void put_on_gpu();
  Tensor numbers_of(std::span<const std::int64_t> indices) const;
  layers::Network& network_;
  const data::ImageStore& store_;
  Device device_;
  DType dtype_;
  Tensor features_;  // (count,F) on the host; undefined if the whole network runs
  Tensor on_gpu_;    // all images, u8 (count,H,W,3); undefined if they stay on the host
};

// What to do where numbers are not finite without any update's doing.
inline constexpr const char* backbone_at_fault =
    "the backbone's numbers are too large for this computation (`clr train --anomaly` names the layer); "
    "another "
    "backbone or --dtype f64 may help";

struct Evaluation {
  double accuracy = 0, loss = 0;  // accuracy in [0,1]; loss: the mean cross-entropy
};
// Evaluates all images in evaluation mode, without recording gradients, and restores the mode.
// The loss may not be finite: the caller checks it.
Evaluation evaluate(layers::Network& network, Inputs& inputs);

// The label with the largest logit, and its softmax.
struct PredictedLabel {
  std::int64_t label = 0;
  double probability = 0;
};
// Predicts every image's label in evaluation mode, in the order of the images.
// Throws Error if a logit is not finite; the message names the image.
std::vector<PredictedLabel> predicted_labels(layers::Network& network, Inputs& inputs);

// Throws Error, naming the image, where one of the logits (one image a row) is not finite.
void check_logits(const Tensor& logits, const std::function<std::string(std::int64_t row)>& image);

struct StepResult {
  double loss = 0;            // cross-entropy + penalty; the frozen tensors' penalty is included
  double cross_entropy = 0;   // mean over the batch
  std::int64_t correct = 0;   // images whose largest logit is their label's
  bool first = false;         // whether no update came before it
  void check_finite() const;  // throws Error, with a remedy, if the loss is not finite
};

// A step's results, on the device.
struct StepOutputs {
  Tensor cross_entropy, norms;  // scalars; norms: undefined without a penalty
  Tensor guesses;               // (N) i64
};

// The outputs of steps, kept on the device until they are read. On a GPU a read waits for all kernels.
class UnreadSteps {
 public:
  static constexpr std::int64_t most = 1024;
  void add(const StepOutputs& outputs, std::vector<std::int64_t> labels);
  std::int64_t count() const { return std::ssize(labels_); }
  // Calls f(cross_entropy, norms, correct) for each step in order, and forgets the steps.
  template <class F>
  void read(F f);

 private:
  Tensor losses_, guesses_;                        // (most,2), i64 (most,largest batch)
  std::vector<std::vector<std::int64_t>> labels_;  // on the host
};

// Trains a network step by step by the recipe's optimizer and penalty. On a GPU a step whose images
// lie there is captured as a graph, one for each batch size, and replayed from then on
// (REPRISE_GRAPH). The inputs must then outlive this, and the network's tensors keep their addresses.
class Learner {
 public:
  Learner(layers::Network& network, const Recipe& recipe);
  // Computes the loss and gradients of a batch and updates the parameters, without waiting for a
  // GPU. The caller calls results() after at most UnreadSteps::most steps.
  void start(Inputs& inputs, const std::vector<std::int64_t>& indices);
  // Returns the results of the steps since the last call, in order. Waits for a GPU.
  std::vector<StepResult> results();
  // Does one step and returns its result. Throws Error if the loss is not finite.
  StepResult step(Inputs& inputs, const std::vector<std::int64_t>& indices);
  optim::Optimizer& optimizer() { return *optimizer_; }
  std::int64_t unread() const { return unread_.count(); }  // steps since the last call of results()
  std::int64_t replays() const { return replays_; }        // steps that were replayed from a graph

 private:
  // The graph of a batch size, with the tensors that it uses.
  struct Captured {
    const Inputs* inputs = nullptr;
    Batch batch;
    StepOutputs outputs;
    std::unique_ptr<gpu::Graph> graph;
  };
  StepOutputs compute(Inputs& inputs, const Batch& batch);
  const StepOutputs& replay(Inputs& inputs, const std::vector<std::int64_t>& indices);

  std::unique_ptr<optim::Optimizer> optimizer_;
  bool penalised_ = false;
  double lambda_, frozen_penalty_ = 0;  // frozen_penalty_: the frozen tensors' part of the loss, a constant
  std::vector<Tensor> kept_;            // the network's tensors, whose addresses graphs hold
  Tensor one_;                          // the gradient at which backward starts
  UnreadSteps unread_;
  std::map<std::int64_t, Captured> captured_;  // by batch size
  std::int64_t replays_ = 0;
};

}  // namespace reprise::clr
