// Networks with the start values of PyTorch's constructors, compared with tests/golden/rng.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <sstream>

#include "layers/conv2d.h"
#include "layers/network.h"
#include "layers/torch_sequence.h"
#include "tests/layers/golden.h"

namespace reprise::layers {
namespace {

TEST(TorchSequence, ConstructorsOfResNets) {
  std::ifstream in(std::string(REPRISE_SOURCE_DIR) + "/tests/golden/rng/networks.txt");
  int networks = 0;
  for (std::string text; std::getline(in, text);) {
    std::istringstream line(text);
    std::string kind, arch;
    int classes = 0;
    std::uint64_t seed = 0, following = 0;
    line >> kind >> arch >> classes >> seed >> following;
    if (kind != "constructor") continue;
    SCOPED_TRACE(arch);
    networks += 1;
    const auto network = make_network(arch, classes);
    TorchGenerator generator(seed), counted(seed);
    TorchSequence sequence(generator), passed_over(counted, /*with_values=*/false);
    network->initialize(sequence);
    std::vector<double> got;
    const auto add = [&](const std::string& name, FileLayout layout, std::size_t count) {
      for (const Entry& e : network->named_tensors()) {
        if (e.name != name) continue;
        const auto values = test::in_file_order(*e.tensor, layout);
        got.insert(got.end(), values.begin(), values.begin() + static_cast<std::ptrdiff_t>(count));
      }
    };
    add("conv1.weight", FileLayout::conv, 16);
    add(network->head_name() + ".weight", FileLayout::plain, 16);
    add(network->head_name() + ".bias", FileLayout::plain, 4);
    ASSERT_EQ(got.size(), 36U);
    for (const double v : got) {
      double expected = 0;
      ASSERT_TRUE(line >> expected);
      EXPECT_NEAR(v, expected, 1e-6);
    }
    network->initialize(passed_over);
    EXPECT_EQ(counted, generator);
    EXPECT_EQ(generator.random_seed(), following);
  }
  EXPECT_EQ(networks, 2);
}

TEST(TorchSequence, PassedOverTensorsKeepTheirValues) {
  TorchGenerator generator(9);
  TorchSequence passed_over(generator, /*with_values=*/false);
  Tensor tensor = full({3, 2}, 7);
  for (const Init init : {Init::bias, Init::kaiming_normal_fan_in})
    passed_over.sample(tensor, FileLayout::plain, init, {2, 3});
  passed_over.finish();
  for (const float v : tensor.values<float>()) EXPECT_EQ(v, 7);
}

// Filters are filled in the order (O,I,R,S), not in memory's order.
TEST(TorchSequence, DrawsInTheOrderOfTheFile) {
  Conv2d conv(2, 3, 2);
  TorchGenerator generator(9), again(9);
  TorchSequence sequence(generator);
  conv.initialize(sequence);
  std::vector<float> weight(24), bias(3);
  again.uniform(weight, -1 / std::sqrt(8.0), 1 / std::sqrt(8.0));
  again.uniform(bias, -1 / std::sqrt(8.0), 1 / std::sqrt(8.0));
  EXPECT_EQ(generator, again);
  const auto got = test::in_file_order(conv.weight, FileLayout::conv);
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i], static_cast<double>(weight[i]));
  for (std::size_t i = 0; i < bias.size(); ++i) EXPECT_EQ(conv.bias.data<float>()[i], bias[i]);
}

}  // namespace
}  // namespace reprise::layers
