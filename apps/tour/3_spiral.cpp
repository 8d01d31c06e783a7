// A network in a page: a multi-layer perceptron learns the three arms of a spiral,
// which no straight line separates, and draws its answer for every place in the plane.
#include <cmath>
#include <cstdio>
#include <vector>

#include "data/image/write_png.h"
#include "engine/autograd/autograd.h"
#include "engine/base/error.h"
#include "engine/base/random.h"
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

// Returns points on the three arms, with noise in the angle. The same seed gives the same points.
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
  return {tensor({arms * per_arm, 2}, x), tensor({arms * per_arm}, labels)};
}

// Trains the network for 400 steps of Adam, each on all points, and prints some of the losses.
void learn(layers::Module& network, const Points& points) {
  optim::Adam adam(network.trained_parameters(), {.lr = 0.02});
  for (int step = 1; step <= 400; ++step) {
    const Tensor loss = ops::cross_entropy(network(points.x), points.labels);
    adam.zero_grad();
    backward(loss);
    adam.step();
    if (step == 1 || step % 100 == 0) std::printf("  step %3d  loss %.4f\n", step, loss.item());
  }
}

// Returns the share of the points whose arm the network names.
double accuracy(layers::Module& network, const Points& points) {
  const NoGrad nothing_to_record;
  const Tensor guess = ops::argmax_rows(network(points.x));
  int right = 0;
  for (std::int64_t i = 0; i < guess.numel(); ++i)
    right += guess.data<std::int64_t>()[i] == points.labels.data<std::int64_t>()[i];
  return right / static_cast<double>(guess.numel());
}

// Draws the square [-1,1]^2 into a PNG file. The colour of a place mixes the arms'
// colours by the network's probabilities; each point has the colour of its own arm.
void draw(layers::Module& network, const Points& points, const char* file) {
  constexpr int side = 300;
  constexpr float colour[arms][3] = {{0, 114, 178}, {240, 228, 66}, {213, 94, 0}};
  std::vector<float> places;
  for (int i = 0; i < side * side; ++i) {
    places.push_back(2 * (static_cast<float>(i % side) + 0.5f) / side - 1);
    places.push_back(1 - 2 * (static_cast<float>(i / side) + 0.5f) / side);
  }
  const NoGrad nothing_to_record;
  const Tensor share = ops::softmax(network(tensor({side * side, 2}, places)));
  data::Image image{side, side, {}};
  for (int i = 0; i < side * side * 3; ++i) {
    float light = 0;
    for (int arm = 0; arm < arms; ++arm)
      light += share.data<float>()[i / 3 * arms + arm] * colour[arm][i % 3];
    image.rgb.push_back(static_cast<std::uint8_t>(light));
  }
  for (std::int64_t i = 0; i < points.x.dim(0); ++i) {
    const auto pixel = [](float v) { return static_cast<int>((v + 1) / 2 * (side - 5)); };
    const int column = pixel(points.x.data<float>()[2 * i]), row = pixel(-points.x.data<float>()[2 * i + 1]);
    const float* own = colour[points.labels.data<std::int64_t>()[i]];
    for (int k = 0; k < 25 * 3; ++k) {  // five by five pixels, the outer ones are black
      const int y = k / 15, x = k / 3 % 5;
      const float light = x % 4 != 0 && y % 4 != 0 ? own[k % 3] : 0;
      image.rgb[static_cast<std::size_t>(((row + y) * side + column + x) * 3 + k % 3)] =
          static_cast<std::uint8_t>(light);
    }
  }
  data::write_png(file, image);
}

}  // namespace

int main() try {
  const Points train = spiral(1), test = spiral(2);

  std::printf("one linear layer\n");
  layers::Linear straight(2, arms);
  straight.initialize(/*seed=*/0);
  learn(straight, train);
  const double by_lines = accuracy(straight, test);

  std::printf("two, with a ReLU between them\n");
  layers::Sequential network;
  network.add<layers::Linear>(2, 64);
  network.add<layers::ReLU>();
  network.add<layers::Linear>(64, arms);
  network.initialize(/*seed=*/0);
  learn(network, train);
  const double seen = accuracy(network, train), unseen = accuracy(network, test);

  std::printf("\naccuracy on new points: %.1f %% by straight lines, %.1f %% by the network\n", 100 * by_lines,
              100 * unseen);
  std::printf("on those it learned from: %.1f %%\n", 100 * seen);
  draw(straight, train, "spiral_lines.png");
  draw(network, train, "spiral.png");
  std::printf("drawn: spiral_lines.png, spiral.png\n");
  return by_lines < 0.7 && seen > 0.95 && unseen > 0.9 ? 0 : 1;
} catch (const Error& error) {  // for example a picture that cannot be written
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
