// Names, modes, observers, errors, start values of modules; architectures and the layer table.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "engine/autograd/autograd.h"
#include "engine/base/error.h"
#include "engine/base/sha256.h"
#include "tests/layers/golden.h"

namespace reprise::test {
namespace {

using namespace layers;

TEST(Module, NamesAreDottedAndInOrder) {
  Sequential net;
  net.add<Linear>(2, 3);
  net.add<ReLU>();
  auto& inner = net.add<Sequential>();
  inner.add<BatchNorm2d>(3);
  std::vector<std::string> names;
  for (const Entry& e : net.named_tensors()) names.push_back(e.name);
  EXPECT_EQ(names, (std::vector<std::string>{"0.weight", "0.bias", "2.0.weight", "2.0.bias",
                                             "2.0.running_mean", "2.0.running_var"}));
  EXPECT_EQ(net.find("2.0")->type(), "BatchNorm2d");
  EXPECT_EQ(net.find("2.1"), nullptr);
  EXPECT_EQ(net.parameter_count(), 2 * 3 + 3 + 3 + 3);
  EXPECT_EQ(net.trained_parameters().size(), 4U);
}

TEST(Module, ConversionKeepsWhatIsTrained) {
  Sequential net;
  net.add<Linear>(2, 3).set_requires_grad(false);
  net.add<BatchNorm2d>(3);
  net.to(ref_device);
  net.to(DType::f64);
  for (const Entry& e : net.named_tensors()) {
    EXPECT_EQ(e.tensor->dtype(), DType::f64);
    EXPECT_EQ(e.tensor->device(), ref_device);
    EXPECT_EQ(requires_grad(*e.tensor), e.name == "1.weight" || e.name == "1.bias") << e.name;
  }
  EXPECT_THROW(net.to(DType::i64), Error);
}

TEST(Module, AnErrorNamesTheInnermostLayerOnce) {
  const auto network = make_network("resnet20", 3);
  try {
    (*network)(zeros({1, 8, 8, 4}));
    FAIL();
  } catch (const Error& e) {
    const std::string text = e.what();
    EXPECT_NE(text.find("layer   conv1"), std::string::npos) << text;
  }
  dynamic_cast<Conv2d*>(network->find("layer2.1.conv1"))->weight = zeros({32, 3, 3, 31});
  try {
    (*network)(zeros({1, 8, 8, 3}));
    FAIL();
  } catch (const Error& e) {
    const std::string text = e.what();
    EXPECT_NE(text.find("layer   layer2.1.conv1"), std::string::npos) << text;
    EXPECT_EQ(text.find("layer   layer2.1\n"), std::string::npos) << text;
  }
}

TEST(BatchNorm, RunningStatisticsMoveInTrainingOnly) {
  BatchNorm2d bn(1);
  const Tensor x = tensor({4, 1}, {1, 2, 3, 6});
  bn(x);
  EXPECT_FLOAT_EQ(bn.running_mean.data<float>()[0], 0.3F);                       // 0.9 * 0 + 0.1 * 3
  EXPECT_FLOAT_EQ(bn.running_var.data<float>()[0], 0.9F + 0.1F * 14.0F / 3.0F);  // unbiased
  bn.train(false);
  const Tensor y = bn(x);
  EXPECT_FLOAT_EQ(bn.running_mean.data<float>()[0], 0.3F);
  EXPECT_NEAR(y.data<float>()[0], (1 - 0.3) / std::sqrt(0.9 + 1.4 / 3 + 1e-5), 1e-6);
}

TEST(Observer, SeesChildrenBeforeParentsAndStops) {
  const auto network = make_network("resnet20", 3);
  network->initialize(1);
  network->train(false);
  const Tensor x = golden_images({1, 3, 8, 12}, DType::f32, cpu_device);
  std::vector<std::string> seen;
  Tensor stage;
  const ForwardObserver observer([&](const Module& m, const Tensor&, const Tensor& y) {
    seen.push_back(m.path());
    if (m.path() == "layer2") stage = y;
  });
  const Tensor stopped = run_until(*network, x, "layer2");
  EXPECT_EQ(stopped.shape(), (Shape{1, 4, 6, 32}));
  ASSERT_FALSE(seen.empty());
  EXPECT_EQ(seen.front(), "conv1");
  EXPECT_EQ(seen.back(), "layer2");
  EXPECT_LT(std::find(seen.begin(), seen.end(), "layer1.0.bn2"),
            std::find(seen.begin(), seen.end(), "layer1.0"));
  EXPECT_EQ(stage.data<float>(), stopped.data<float>());
  EXPECT_THROW(run_until(*network, x, "layer4"), Error);
}

// A tensor's samples do not depend on other tensors, and have the right range.
TEST(Init, StreamsAreNamed) {
  Sequential one, two;
  one.add<Linear>(50, 40);
  two.add<Linear>(50, 40);
  two.add<Linear>(7, 7);
  one.initialize(5);
  two.initialize(5);
  const auto a = one.named_tensors()[0].tensor->values<float>(),
             b = two.named_tensors()[0].tensor->values<float>();
  EXPECT_TRUE(std::equal(a.begin(), a.end(), b.begin()));
  const auto [low, high] = std::minmax_element(a.begin(), a.end());
  const double bound = 1 / std::sqrt(50.0);
  EXPECT_LE(*high, bound);
  EXPECT_GT(*high, 0.95 * bound);
  EXPECT_GE(*low, -bound);
  EXPECT_LT(*low, -0.95 * bound);
  two.initialize(6);
  EXPECT_NE(a[0], b[0]);
}

TEST(Init, ConvolutionsOfResNetsAreNormal) {
  const auto network = make_network("resnet18", 3);
  auto* conv = dynamic_cast<Conv2d*>(network->find("layer2.0.conv1"));
  conv->reset_parameters(1);
  double sum = 0, squares = 0;
  for (const double v : in_file_order(conv->weight, FileLayout::plain)) {
    sum += v;
    squares += v * v;
  }
  const auto n = static_cast<double>(conv->weight.numel());
  EXPECT_NEAR(sum / n, 0, 1e-3);
  EXPECT_NEAR(std::sqrt(squares / n), std::sqrt(2.0 / (128 * 9)), 3e-4);  // fan_out
}

TEST(Network, ANewHead) {
  const auto network = make_network("resnet20", 10);
  network->set_requires_grad(false);
  network->replace_head(7, 1);
  EXPECT_EQ(network->classes(), 7);
  EXPECT_EQ(network->head_name(), "linear");
  EXPECT_EQ(network->trained_parameters().size(), 2U);
  network->train(false);
  EXPECT_EQ((*network)(zeros({2, 8, 8, 3})).shape(), (Shape{2, 7}));
  EXPECT_EQ(network->features(zeros({2, 8, 8, 3})).shape(), (Shape{2, 64}));
}

// Names and file shapes equal torchvision's and PyTorch's:
// a digest of the sorted lines "name [shape]".
TEST(Network, NamesAndShapesAreThePublishedOnes) {
  const std::string file = "tests/golden/layers/names.txt";
  std::ifstream golden(std::string(REPRISE_SOURCE_DIR) + "/" + file);
  std::map<std::string, std::string> expected;
  for (std::string line; std::getline(golden, line);) expected[line.substr(0, line.find(' '))] = line;
  for (const std::string& arch : known_architectures()) {
    const auto network = make_network(arch, 10);
    std::vector<std::string> lines;
    std::map<std::string, Shape> shapes;
    for (const Entry& e : network->named_tensors()) {
      shapes[e.name] = file_shape(e.tensor->shape(), e.layout);
      lines.push_back(e.name + " " + to_string(shapes[e.name]) + "\n");
    }
    std::sort(lines.begin(), lines.end());
    Sha256 hash;
    for (const std::string& line : lines) hash.update(line);
    EXPECT_EQ(arch + " " + hash.hex() + " " + std::to_string(network->parameter_count()), expected[arch])
        << "the line of " << arch << " in " << file;
    EXPECT_EQ(guess_architecture(shapes), arch);
    expected.erase(arch);
  }
  for (const auto& [arch, line] : expected)
    ADD_FAILURE() << file << " has a line of " << arch << ", which is unknown";
}

TEST(Network, GuessesAnIncompleteFileAndNotAStranger) {
  const auto network = make_network("resnet18", 10);
  std::map<std::string, Shape> shapes;
  for (const Entry& e : network->named_tensors())
    if (!e.name.starts_with("layer4")) shapes[e.name] = file_shape(e.tensor->shape(), e.layout);
  EXPECT_EQ(guess_architecture(shapes), "resnet18");
  shapes["conv1.weight"] = {32, 3, 3, 3};
  EXPECT_EQ(guess_architecture(shapes), std::nullopt);
  EXPECT_EQ(guess_architecture({}), std::nullopt);
  EXPECT_EQ(guess_architecture({{"conv1.weight", {64, 3, 7, 7}}}), std::nullopt);
  EXPECT_THROW(make_network("vgg16", 10), Error);
}

TEST(Summary, CountsWhatIsThere) {
  const auto network = make_network("resnet20", 10);
  apply_method(*network, "clr");
  const bool mode = network->is_training();
  const auto rows = summarize(*network, 32, 32);
  EXPECT_EQ(network->is_training(), mode);
  std::int64_t parameters = 0, trained = 0, convolutions = 0;
  for (const LayerRow& r : rows) {
    parameters += r.parameters;
    trained += r.trained;
    if (r.type == "Conv2d") convolutions += r.flops;
  }
  EXPECT_EQ(parameters, network->parameter_count());
  std::int64_t marked = 0;
  for (const Tensor& t : network->trained_parameters()) marked += t.numel();
  EXPECT_EQ(trained, marked);
  EXPECT_EQ(convolutions, 2 * 40550400);  // multiply-adds of the convolutions of ResNet-20 at 32x32
  EXPECT_EQ(rows[0].name, "conv1");
  EXPECT_EQ(rows[0].output, (Shape{1, 32, 32, 16}));
  EXPECT_EQ(rows[0].flops, 2 * 27 * 16 * 32 * 32);
  const std::string text = render(rows);
  EXPECT_NE(text.find("layer3.2.conv2.reprogram"), std::string::npos);
  EXPECT_NE(text.find("total"), std::string::npos);
}

}  // namespace
}  // namespace reprise::test
