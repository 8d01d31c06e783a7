// A small network to pretrain and to reprogram, and tasks for it to learn.
#pragma once

#include <string>

#include "apps/tour/drawings.h"
#include "optim/optimizer.h"

namespace tour {

// Three blocks of convolution, batch norm and ReLU: 16 x 16 x 1 -> 16 x 16 x 16 -> 8 x 8 x
// 32 -> 4 x 4 x 32; then the mean over the image, and a head with one score for each class.
class SmallBackbone : public reprise::layers::Network {
  using Conv2d = reprise::layers::Conv2d;
  using BatchNorm2d = reprise::layers::BatchNorm2d;
  using Options = reprise::layers::Conv2dOptions;

 public:
  explicit SmallBackbone(int classes)
      : conv1_(child<Conv2d>("conv1", 1, 16, 3, Options{.padding = 1, .bias = false})),
        bn1_(child<BatchNorm2d>("bn1", 16)),
        conv2_(child<Conv2d>("conv2", 16, 32, 3, Options{.stride = 2, .padding = 1, .bias = false})),
        bn2_(child<BatchNorm2d>("bn2", 32)),
        conv3_(child<Conv2d>("conv3", 32, 32, 3, Options{.stride = 2, .padding = 1, .bias = false})),
        bn3_(child<BatchNorm2d>("bn3", 32)) {
    head_ = &child<reprise::layers::Linear>("head", 32, classes);
  }

  // conv_bn computes the convolution, the layer that a method put after it, batch norm and ReLU.
  reprise::Tensor features(const reprise::Tensor& x) override {
    using reprise::layers::conv_bn;
    return reprise::ops::global_avg_pool(
        conv_bn(conv3_, bn3_, conv_bn(conv2_, bn2_, conv_bn(conv1_, bn1_, x))));
  }
  const std::string& arch() const override { return arch_; }
  int default_size() const override { return side; }

 private:
  std::string arch_ = "small";
  Conv2d& conv1_;
  BatchNorm2d& bn1_;
  Conv2d& conv2_;
  BatchNorm2d& bn2_;
  Conv2d& conv3_;
  BatchNorm2d& bn3_;
};

struct Task {
  std::string name;
  int classes;
  Drawings train, test;
};

inline Task make_task(const std::string& name, const Signs& signs, const Style& style) {
  return {name, static_cast<int>(signs.size()), draw(signs, 1600, /*seed=*/1, "train/" + name, style),
          draw(signs, 480, /*seed=*/1, "test/" + name, style)};
}

// Trains all parameters that require a gradient with Adam, in batches of 32.
inline void learn(reprise::layers::Network& network, const Task& task, int steps) {
  reprise::optim::Adam adam(network.trained_parameters(), {.lr = 0.01});
  for (int step = 0; step < steps; ++step) {
    const std::int64_t first = step * 32 % task.train.images.dim(0);
    const reprise::Tensor scores = network(task.train.images.rows(first, first + 32));
    const reprise::Tensor loss =
        reprise::ops::cross_entropy(scores, task.train.labels.rows(first, first + 32));
    adam.zero_grad();
    reprise::backward(loss);
    adam.step();
  }
}

}  // namespace tour
