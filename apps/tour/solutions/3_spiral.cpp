// One way to do the exercises of lesson 3. It includes the lesson's program and renames its main.
#include <set>
#include <utility>

#define main lesson
#include "apps/tour/3_spiral.cpp"
#undef main

namespace {

// 1. Returns the accuracy on new points of a network with so few hidden units.
double with_hidden_units(int hidden, const Points& train, const Points& test) {
  layers::Sequential network;
  network.add<layers::Linear>(2, hidden);
  network.add<layers::ReLU>();
  network.add<layers::Linear>(hidden, arms);
  network.initialize(/*seed=*/0);
  learn(network, train);
  return accuracy(network, test);
}

// 2. Two layers without the ReLU are one layer:
//   W2 (W1 x + b1) + b2 = (W2 W1) x + (W2 b1 + b2)
// Returns the largest difference between both sides'
// scores; `reached` becomes the accuracy on `train`.
double largest_difference_to_one_layer(const Points& train, double& reached) {
  layers::Sequential network;
  const auto& first = network.add<layers::Linear>(2, 64);
  const auto& second = network.add<layers::Linear>(64, arms);
  network.initialize(/*seed=*/0);
  learn(network, train);
  reached = accuracy(network, train);

  const NoGrad nothing_to_record;
  const Tensor weight = ops::matmul(second.weight, first.weight);
  const Tensor bias = ops::linear(ops::reshape(first.bias, {1, 64}), second.weight, second.bias);
  const Tensor y = network(train.x), same = ops::linear(train.x, weight, ops::reshape(bias, {arms}));
  double largest = 0;
  for (std::int64_t i = 0; i < y.numel(); ++i)
    largest = std::max(largest, static_cast<double>(std::abs(y.data<float>()[i] - same.data<float>()[i])));
  return largest;
}

// 3. Returns only every twentieth point.
Points few(const Points& points) {
  std::vector<float> x;
  std::vector<std::int64_t> labels;
  for (std::int64_t i = 0; i < points.x.dim(0); i += 20) {
    x.insert(x.end(), {points.x.data<float>()[2 * i], points.x.data<float>()[2 * i + 1]});
    labels.push_back(points.labels.data<std::int64_t>()[i]);
  }
  const auto n = static_cast<std::int64_t>(labels.size());
  return {tensor({n, 2}, x), tensor({n}, labels)};
}

// 4. Hidden units that start equal have equal gradients and stay equal: 64 of them are one. From zeros
// even that one has no gradient, because its outgoing weights are 0. Large weights make large scores,
// so the loss begins far from log(3). Small ones make small gradients, and learning begins late.
struct Start {
  const char* what;
  double scale;  // of normal numbers with variance 2 / inputs; 0: every weight is `constant`
  float constant;
};

struct Learned {
  double first_loss, accuracy;
  std::size_t different;  // hidden units with other weights than all before them
};

Learned from(const Start& start, const Points& train, const Points& test) {
  layers::Sequential network;
  auto& first = network.add<layers::Linear>(2, 64);
  network.add<layers::ReLU>();
  auto& second = network.add<layers::Linear>(64, arms);
  network.initialize(/*seed=*/0);
  RandomStream random(0, "tour/start");
  for (layers::Linear* layer : {&first, &second}) {
    const double sigma = start.scale * std::sqrt(2.0 / static_cast<double>(layer->weight.dim(1)));
    for (std::int64_t i = 0; i < layer->weight.numel(); ++i)
      layer->weight.mutable_data<float>()[i] =
          start.scale == 0 ? start.constant : static_cast<float>(sigma * random.normal());
    for (std::int64_t i = 0; i < layer->bias.numel(); ++i) layer->bias.mutable_data<float>()[i] = 0;
  }
  const double loss = ops::cross_entropy(network(train.x), train.labels).item();
  learn(network, train);
  std::set<std::pair<float, float>> units;
  for (int i = 0; i < 64; ++i)
    units.insert({first.weight.data<float>()[2 * i], first.weight.data<float>()[2 * i + 1]});
  return {loss, accuracy(network, test), units.size()};
}

}  // namespace

int main() {
  const Points train = spiral(1), test = spiral(2);

  double reached[4];
  const int hidden[4] = {2, 4, 8, 16};
  for (int i = 0; i < 4; ++i) reached[i] = with_hidden_units(hidden[i], train, test);
  std::printf("\n1. accuracy with 2, 4, 8, 16 hidden units:");
  for (const double r : reached) std::printf(" %.1f %%", 100 * r);

  double linear_accuracy = 0;
  std::printf("\n\n");
  const double difference = largest_difference_to_one_layer(train, linear_accuracy);
  std::printf("\n2. without ReLU: accuracy %.1f %%, and the scores of one layer up to %.0e\n\n",
              100 * linear_accuracy, difference);

  const Points fifteen = few(train);
  layers::Sequential network;
  network.add<layers::Linear>(2, 64);
  network.add<layers::ReLU>();
  network.add<layers::Linear>(64, arms);
  network.initialize(/*seed=*/0);
  learn(network, fifteen);
  const double seen = accuracy(network, fifteen), unseen = accuracy(network, test);
  std::printf("\n3. from 15 points: %.1f %% on those, %.1f %% on new ones\n", 100 * seen, 100 * unseen);

  const Start starts[] = {{"all weights 0", 0, 0},
                          {"all weights 0.5", 0, 0.5F},
                          {"normal, sqrt(2/inputs)", 1, 0},
                          {"ten times as large", 10, 0},
                          {"a hundredth as large", 0.01, 0}};
  Learned learned[5];
  for (int i = 0; i < 5; ++i) learned[i] = from(starts[i], train, test);
  std::printf("\n4. start                    loss at step 1   new points   different hidden units\n");
  for (int i = 0; i < 5; ++i)
    std::printf("   %-24s %14.4f   %8.1f %%   %22zu\n", starts[i].what, learned[i].first_loss,
                100 * learned[i].accuracy, learned[i].different);

  return reached[0] < 0.8 && reached[3] > 0.95 && linear_accuracy < 0.7 && difference < 1e-4 && seen == 1 &&
                 unseen < 0.9 && learned[0].different == 1 && learned[1].different == 1 &&
                 learned[0].accuracy < 0.7 && learned[1].accuracy < 0.7 && learned[2].accuracy > 0.9 &&
                 std::abs(learned[2].first_loss - std::log(3.0)) < 0.7 && learned[3].first_loss > 5 &&
                 std::abs(learned[4].first_loss - std::log(3.0)) < 1e-3
             ? 0
             : 1;
}
