// One way to do the exercises of lesson 6. It includes the lesson's program and renames its main.
#define main lesson
#include "apps/tour/6_optimizers.cpp"
#undef main

#include <cmath>

namespace {

// 2. Momentum by hand:
//   buffer = 0.9 buffer + gradient,   parameter -= lr buffer
class HandMade : public optim::Optimizer {
 public:
  HandMade(std::vector<Tensor> parameters, double lr) : Optimizer(std::move(parameters), lr, {"momentum"}) {}

 private:
  Tensor rates(std::int64_t) const override { return full({1}, lr(), DType::f64); }
  void update(std::vector<ops::Update>& updates, const Tensor&) override {
    const NoGrad nothing_to_record;
    for (ops::Update& u : updates) {
      copy_into(u.buffers[0], 0.9 * u.buffers[0] + u.gradient);
      copy_into(u.parameter, u.parameter - lr() * u.buffers[0]);
    }
  }
};

// 3. Trains the lesson's network, with a batch norm after each
// convolution, by plain SGD. Returns its accuracy on `test`.
double with_batch_norm(const tour::Drawings& train, const tour::Drawings& test) {
  layers::Sequential network;
  network.add<layers::Conv2d>(1, 8, 3, layers::Conv2dOptions{.padding = 1});
  network.add<layers::BatchNorm2d>(8);
  network.add<layers::ReLU>();
  network.add<layers::MaxPool2d>();
  network.add<layers::Conv2d>(8, 16, 3, layers::Conv2dOptions{.padding = 1});
  network.add<layers::BatchNorm2d>(16);
  network.add<layers::ReLU>();
  network.add<layers::MaxPool2d>();
  network.add<layers::Flatten>();
  network.add<layers::Linear>(4 * 4 * 16, 10);
  network.initialize(/*seed=*/0);
  optim::Sgd sgd(network.trained_parameters(), {.lr = 0.03});
  for (int step = 0; step < steps; ++step) {
    const std::int64_t first = step * batch % train.images.dim(0);
    const Tensor scores = network(train.images.rows(first, first + batch));
    const Tensor loss = ops::cross_entropy(scores, train.labels.rows(first, first + batch));
    sgd.zero_grad();
    backward(loss);
    sgd.step();
  }
  network.train(false);  // from here on, the running statistics
  return tour::accuracy(network, test);
}

}  // namespace

int main() {
  const tour::Drawings train = tour::draw(tour::digits, 1600, /*seed=*/1, "tour/digits/train");
  const tour::Drawings test = tour::draw(tour::digits, 500, /*seed=*/1, "tour/digits/test");

  std::printf("1. plain SGD\n");
  std::vector<double> reached;
  for (const double lr : {0.003, 0.03, 0.3, 3.0}) {
    const auto sgd = [lr](std::vector<Tensor> parameters) {
      return std::make_unique<optim::Sgd>(std::move(parameters), optim::SgdOptions{.lr = lr});
    };
    const Result r = learn("SGD", sgd, train, test);
    reached.push_back(r.accuracy);
    std::printf("   lr %-6g last loss %8.3f   accuracy %5.1f %%\n", lr, r.curve.losses.back(),
                100 * r.accuracy);
  }

  const auto made = [](std::vector<Tensor> parameters) {
    return std::make_unique<optim::Sgd>(std::move(parameters),
                                        optim::SgdOptions{.lr = 0.03, .momentum = 0.9});
  };
  const auto hand_made = [](std::vector<Tensor> parameters) {
    return std::make_unique<HandMade>(std::move(parameters), 0.03);
  };
  const std::vector<double> a = learn("ours", made, train, test).curve.losses,
                            b = learn("by hand", hand_made, train, test).curve.losses;
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  std::printf("2. momentum by hand: the losses differ by at most %.1e\n", largest);

  const double normalised = with_batch_norm(train, test);
  std::printf("3. plain SGD with batch norm: %.1f %%\n", 100 * normalised);

  const bool best_is_0_3 = reached[2] > 0.9 && reached[0] < 0.3 && reached[3] < 0.3;
  return best_is_0_3 && largest < 1e-3 && normalised > 0.9 ? 0 : 1;
}
