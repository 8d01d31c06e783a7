// Three optimizers, one network, one start: a small convolutional network learns to read digits.
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "apps/tour/curves.h"
#include "apps/tour/drawings.h"
#include "engine/autograd/autograd.h"
#include "engine/base/error.h"
#include "engine/ops/ops.h"
#include "layers/layers.h"
#include "optim/optimizer.h"

using namespace reprise;

namespace {

constexpr int batch = 32, steps = 150, window = 10;

// Returns a network of two convolutions, each followed by a pooling that halves the
// image, and a linear layer for ten scores: 16 x 16 x 1 -> 8 x 8 x 8 -> 4 x 4 x 16 -> 10.
std::unique_ptr<layers::Sequential> small_cnn() {
  auto network = std::make_unique<layers::Sequential>();
  network->add<layers::Conv2d>(1, 8, 3, layers::Conv2dOptions{.padding = 1});
  network->add<layers::ReLU>();
  network->add<layers::MaxPool2d>();
  network->add<layers::Conv2d>(8, 16, 3, layers::Conv2dOptions{.padding = 1});
  network->add<layers::ReLU>();
  network->add<layers::MaxPool2d>();
  network->add<layers::Flatten>();
  network->add<layers::Linear>(4 * 4 * 16, 10);
  network->initialize(/*seed=*/0);
  return network;
}

struct Result {
  tour::Curve curve;
  double accuracy;  // on drawings it never saw
};

using MakeOptimizer = std::function<std::unique_ptr<optim::Optimizer>(std::vector<Tensor>)>;

// Trains a new small_cnn with the optimizer that `make` returns, then measures it on `test`.
Result learn(const std::string& name, const MakeOptimizer& make, const tour::Drawings& train,
             const tour::Drawings& test) {
  tour::Curve curve{name, {}};
  const auto network = small_cnn();
  const auto optimizer = make(network->trained_parameters());
  for (int step = 0; step < steps; ++step) {
    const std::int64_t first = step * batch % train.images.dim(0);
    const Tensor scores = (*network)(train.images.rows(first, first + batch));
    const Tensor loss = ops::cross_entropy(scores, train.labels.rows(first, first + batch));
    optimizer->zero_grad();
    backward(loss);
    optimizer->step();
    curve.losses.push_back(loss.item());
  }
  return {curve, tour::accuracy(*network, test)};
}

}  // namespace

int main() try {
  const tour::Drawings train = tour::draw(tour::digits, 1600, /*seed=*/1, "tour/digits/train");
  const tour::Drawings test = tour::draw(tour::digits, 500, /*seed=*/1, "tour/digits/test");
  tour::print(train, 5);

  const auto sgd = [](std::vector<Tensor> parameters) {
    return std::make_unique<optim::Sgd>(std::move(parameters), optim::SgdOptions{.lr = 0.03});
  };
  const auto momentum = [](std::vector<Tensor> parameters) {
    return std::make_unique<optim::Sgd>(std::move(parameters),
                                        optim::SgdOptions{.lr = 0.03, .momentum = 0.9});
  };
  const auto adam = [](std::vector<Tensor> parameters) {
    return std::make_unique<optim::Adam>(std::move(parameters), optim::AdamOptions{.lr = 0.003});
  };
  const std::vector<Result> results = {learn("SGD", sgd, train, test),
                                       learn("with momentum", momentum, train, test),
                                       learn("Adam", adam, train, test)};

  std::printf("\nloss (mean of %d steps)\nstep", window);
  for (const Result& r : results) std::printf("%15s", r.curve.name.c_str());
  for (int step = window; step <= steps; step += window) {
    std::printf("\n%4d", step);
    for (const Result& r : results) std::printf("%15.3f", r.curve.smooth(step, window));
  }
  std::printf("\naccuracy on new drawings\n    ");
  for (const Result& r : results) std::printf("%13.1f %%", 100 * r.accuracy);
  tour::draw_curves({results[0].curve, results[1].curve, results[2].curve}, steps, window, 2.4,
                    "optimizers.svg");
  std::printf("\n\ndrawn: optimizers.svg\n");

  // With one start and one first batch the first losses are the same number, to the bit.
  const bool one_start = results[0].curve.losses[0] == results[1].curve.losses[0] &&
                         results[0].curve.losses[0] == results[2].curve.losses[0];
  const double slow = results[0].curve.smooth(60, window);
  const bool both_ahead =
      results[1].curve.smooth(60, window) < slow / 2 && results[2].curve.smooth(60, window) < slow / 2;
  return one_start && both_ahead && results[1].accuracy > 0.93 && results[2].accuracy > 0.93 ? 0 : 1;
} catch (const Error& error) {  // for example a picture that cannot be written
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
