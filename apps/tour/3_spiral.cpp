// A network in a page: a multi-layer perceptron learns the three arms of a spiral.
#include <cmath>
#include <cstdio>
#include <vector>

#include "engine/autograd/autograd.h"
#include "engine/core/random.h"
#include "engine/ops/ops.h"
#include "layers/layers.h"
#include "optim/optimizer.h"

using namespace reprise;

namespace {

constexpr int arms = 3, per_arm = 100;

struct Points {
  Tensor x;       // (N,2)
  Tensor labels;  // (N) i64: the arm
};

Points spiral(std::uint64_t seed) {
  RandomStream noise(seed, "tour/spiral");
  std::vector<float> x;
  std::vector<std::int64_t> labels;
  for (int arm = 0; arm < arms; ++arm)
    for (int i = 0; i < per_arm; ++i) {
      const double radius = (i + 1.0) / per_arm;
      const double angle = 2.1 * arm + 4 * radius + 0.15 * noise.normal();
      x.push_back(static_cast<float>(radius * std::sin(angle)));
      x.push_back(static_cast<float>(radius * std::cos(angle)));
      labels.push_back(arm);
    }
  return {tensor({arms * per_arm, 2}, std::span<const float>(x)),
          tensor({arms * per_arm}, std::span<const std::int64_t>(labels))};
}

double accuracy(const Tensor& logits, const Tensor& labels) {
  const Tensor guess = ops::argmax_rows(logits);
  int right = 0;
  for (std::int64_t i = 0; i < labels.numel(); ++i)
    right += guess.data<std::int64_t>()[i] == labels.data<std::int64_t>()[i];
  return right / static_cast<double>(labels.numel());
}

// What the network says of every place in the square [-1,1]^2, one letter each.
void draw(layers::Module& network) {
  constexpr int width = 60, height = 28;
  std::vector<float> grid;
  for (int row = 0; row < height; ++row)
    for (int column = 0; column < width; ++column) {
      grid.push_back(2.0f * static_cast<float>(column) / (width - 1) - 1);
      grid.push_back(1 - 2.0f * static_cast<float>(row) / (height - 1));
    }
  const NoGrad nothing_to_record;
  const Tensor arm = ops::argmax_rows(network(tensor({width * height, 2}, std::span<const float>(grid))));
  for (int row = 0; row < height; ++row) {
    for (int column = 0; column < width; ++column)
      std::putchar(".o#"[arm.data<std::int64_t>()[row * width + column]]);
    std::putchar('\n');
  }
}

}  // namespace

int main() {
  const Points train = spiral(1), test = spiral(2);

  layers::Sequential network;
  network.add<layers::Linear>(2, 64);
  network.add<layers::ReLU>();
  network.add<layers::Linear>(64, arms);
  network.initialize(/*seed=*/0);

  optim::AdamOptions options;
  options.lr = 0.02;
  optim::Adam adam(network.trained_parameters(), options);

  for (int step = 1; step <= 400; ++step) {
    const Tensor loss = ops::cross_entropy(network(train.x), train.labels);
    adam.zero_grad();
    backward(loss);
    adam.step();
    if (step % 100 == 0) std::printf("step %3d  loss %.4f\n", step, loss.item());
  }

  const NoGrad nothing_to_record;
  const double seen = accuracy(network(train.x), train.labels),
               unseen = accuracy(network(test.x), test.labels);
  std::printf("accuracy %.1f %% on the points it saw, %.1f %% on new ones\n\n", 100 * seen, 100 * unseen);
  draw(network);
  return seen > 0.95 && unseen > 0.9 ? 0 : 1;
}
