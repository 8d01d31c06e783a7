// Names, modes, observers, errors, start values of modules; architectures and the layer table.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <functional>
#include <sstream>

#include "engine/autograd/autograd.h"
#include "engine/base/error.h"
#include "engine/base/sha256.h"
#include "layers/file_layout.h"
#include "tests/engine/expect_error.h"
#include "tests/layers/golden.h"

namespace reprise::test {
namespace {

using namespace layers;
using testing::expect_error;

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

TEST(Module, ANetworkWithoutValuesIsRefusedWhereverItIsMoved) {
  const auto network = make_network("resnet20", 3);
  const Tensor x = ones({2, 8, 8, 3});
  expect_error([&] { (*network)(x); }, "conv2d: the filter was never given values", "initialize(seed)",
               "load_state_dict", "layer   conv1");
  network->to(ref_device), network->to(DType::f64);
  expect_error([&] { (*network)(x.to(DType::f64).to(ref_device)); }, "never given values");
  network->to(DType::f32), network->to(cpu_device);
  network->initialize(0);
  EXPECT_TRUE((*network)(x).defined());
  Linear head(2, 3);
  expect_error([&] { head(ones({1, 2})); }, "linear: the weight was never given values");
  network->replace_head(2, 0);
  EXPECT_EQ((*network)(x).shape(), (Shape{2, 2}));
}

TEST(Module, AReplacedParameterThatLostItsMarkIsAnError) {
  Sequential net;
  auto& layer = net.add<Linear>(2, 3);
  net.initialize(0);
  layer.weight = ones({3, 2});
  for (const auto& use : {std::function<void()>([&] {
                            net(ones({1, 2}));
                          }),
                          {[&] { net.trained_parameters(); }}})
    expect_error(use, "0.weight was replaced", "set_requires_grad(true)", "to freeze it");
  {
    const NoGrad no_grad;
    net(ones({1, 2}));
  }
  net.train(false);
  net(ones({1, 2}));
  net.train();
  net.set_requires_grad(true);
  EXPECT_EQ(net.trained_parameters().size(), 2u);
  layer.weight = ones({3, 2});
  set_requires_grad(layer.weight);
  EXPECT_EQ(net.trained_parameters().size(), 2u);
  set_requires_grad(layer.weight, false);  // frozen on purpose
  net.to(ref_device), net.seal_frozen();
  EXPECT_EQ(net.trained_parameters().size(), 1u);
}

TEST(Sequential, TakesOptionsInBraces) {
  Sequential net;
  const auto& conv = net.add<Conv2d>(3, 4, 3, {.padding = 1, .bias = false});
  const auto& bn = net.add<BatchNorm2d>(4, {.eps = 0.5});
  const auto& pool = net.add<MaxPool2d>({.kernel = {3, 3}, .stride = {1, 1}});
  const auto& flatten = net.add<Flatten>({2, 2, 4});
  EXPECT_EQ(conv.args.padding[1], 1);
  EXPECT_FALSE(conv.bias.defined());
  EXPECT_EQ(bn.args.eps, 0.5);
  EXPECT_EQ(pool.args.kernel[0], 3);
  EXPECT_EQ(flatten.image, (Shape{2, 2, 4}));
  net.initialize(0);
  EXPECT_EQ(net(ones({1, 4, 4, 3})).shape(), (Shape{1, 16}));
  const MaxPool2d square(3);
  EXPECT_EQ(square.args.kernel, (std::array{3, 3}));
  EXPECT_EQ(square.args.stride, (std::array{3, 3}));
  EXPECT_EQ(AvgPool2d(2).args.stride, (std::array{2, 2}));
}

TEST(Module, AnErrorNamesTheInnermostLayerOnce) {
  const auto network = make_network("resnet20", 3);
  network->initialize(0), network->train(false);
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

TEST(Conv2d, AddsItsBias) {
  const Tensor x = golden_images({2, 4, 5, 4}, DType::f32, cpu_device);
  for (const int groups : {1, 2, 4}) {  // four groups: depthwise
    Conv2d plain(4, 4, 3, {.padding = 1, .groups = groups, .bias = false}),
        layer(4, 4, 3, {.padding = 1, .groups = groups});
    layer.initialize(3);
    copy_into(plain.weight, layer.weight);
    copy_into(layer.bias, tensor({4}, {1, -2, 0.5, 4}));
    const Tensor y = layer(x), without = plain(x);
    for (std::int64_t i = 0; i < y.numel(); ++i)
      ASSERT_NEAR(y.data<float>()[i] - without.data<float>()[i], layer.bias.data<float>()[i % 4], 1e-6)
          << groups;
  }
}

// Counts two operations for a value of the filter, and one for the bias.
TEST(Conv2d, ShapeAndCostOfTheFilter) {
  const struct {
    int in, out, groups;
    Shape filter;
    std::int64_t cost;
  } cases[] = {{1, 1, 1, {1, 3, 3, 1}, 18},
               {4, 4, 1, {4, 3, 3, 4}, 72},
               {4, 4, 2, {4, 3, 3, 2}, 36},
               {2, 4, 2, {4, 3, 3, 1}, 18},
               {4, 4, 4, {3, 3, 4}, 18}};  // depthwise
  for (const auto& c : cases)
    for (const bool bias : {false, true}) {
      const Conv2d conv(c.in, c.out, 3, {.groups = c.groups, .bias = bias});
      EXPECT_EQ(conv.weight.shape(), c.filter);
      EXPECT_EQ(conv.flops({2, 7, 7, c.in}, {2, 5, 5, c.out}), 50 * c.out * (c.cost + (bias ? 1 : 0)));
    }
}

TEST(Conv2d, RefusesSizesThatMakeNoFilter) {
  const struct {
    int in, out, kernel, groups;
  } wrong[] = {{0, 4, 3, 1}, {4, 0, 3, 1}, {4, 4, 0, 1}, {4, 4, 3, 0}, {4, 6, 3, 4}, {6, 4, 3, 4}};
  for (const auto& w : wrong)
    expect_error([&] { Conv2d(w.in, w.out, w.kernel, {.groups = w.groups}); },
                 std::to_string(w.in) + " channels to " + std::to_string(w.out));
  EXPECT_EQ(Conv2d(1, 1, 1).weight.numel(), 1);
}

TEST(Observer, SeesTheOutputThatAReprogrammingLayerReplaces) {
  const auto network = make_network("resnet20", 3);
  apply_method(*network, "clr");
  network->initialize(1);
  Tensor replaced, made, convolved;
  const ForwardObserver observer([&](const Module& m, const Tensor& x, const Tensor& y) {
    if (m.path() == "conv1.reprogram") replaced = x, made = y;
    if (m.path() == "conv1") convolved = y;
  });
  network->train(false);
  (*network)(golden_images({1, 3, 8, 12}, DType::f32, cpu_device));
  EXPECT_EQ(made.data<float>(), convolved.data<float>());
  EXPECT_NE(replaced.data<float>(), made.data<float>());
  EXPECT_EQ(replaced.shape(), made.shape());
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
  testing::expect_error([&] { run_until(*network, x, "layer4"); }, "no module named 'layer4'");
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
  network->initialize(0), network->train(false);
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
  for (const char* stranger : {"layer0.0.conv1.weight", "layer5.0.conv1.weight", "layer:.0.conv1.weight"})
    shapes[stranger] = {1};  // no stage of a ResNet
  for (const char* stranger : {"other1.7.weight", "other2.8.weight", "layer1_9.weight"})
    shapes[stranger] = {1};
  EXPECT_EQ(guess_architecture(shapes), "resnet18");
  std::erase_if(shapes, [](const auto& s) { return s.first.starts_with("layer3"); });
  EXPECT_EQ(guess_architecture(shapes), "resnet18");  // by two stages of four
  std::erase_if(shapes, [](const auto& s) { return s.first.starts_with("layer2"); });
  EXPECT_EQ(guess_architecture(shapes), std::nullopt);
  // As many stages of one network as of another.
  std::map<std::string, Shape> between = {{"conv1.weight", {64, 3, 7, 7}}, {"layer1.0.conv3.weight", {1}}};
  between["layer1.0.conv2.weight"] = {64, 64, 3, 3};
  for (const char* block : {"1.1", "1.2", "2.0", "2.1", "2.2", "2.3"})
    between["layer" + std::string(block) + ".conv1.weight"] = {1};
  EXPECT_EQ(guess_architecture(between), std::nullopt) << "of ResNet-50 or ResNet-101";
  for (const char* block : {"3.0", "3.1", "3.2", "3.3", "3.4", "3.5"})
    between["layer" + std::string(block) + ".conv1.weight"] = {1};
  EXPECT_EQ(guess_architecture(between), "resnet50");
  shapes["conv1.weight"] = {32, 3, 3, 3};
  EXPECT_EQ(guess_architecture(shapes), std::nullopt);
  EXPECT_EQ(guess_architecture({}), std::nullopt);
  EXPECT_EQ(guess_architecture({{"conv1.weight", {64, 3, 7, 7}}}), std::nullopt);
  EXPECT_THROW(make_network("vgg16", 10), Error);
}

TEST(Dropout, SamplesInTrainingOnly) {
  Sequential net;
  auto& dropout = net.add<Dropout>(0.25, 5);
  const Tensor x = ones({1000}), first = net(x), second = net(x);
  EXPECT_EQ(dropout.calls, 2U);
  dropout.calls = 0;  // as a resumed run sets it
  const Tensor again = net(x);
  int dropped = 0, differ = 0;
  for (std::int64_t i = 0; i < 1000; ++i) {
    const float v = first.data<float>()[i];
    EXPECT_TRUE(v == 0 || v == 1 / 0.75F) << v;
    EXPECT_EQ(v, again.data<float>()[i]);
    dropped += v == 0, differ += v != second.data<float>()[i];
  }
  EXPECT_NEAR(dropped, 250, 45);
  EXPECT_GT(differ, 200);
  net.train(false);
  EXPECT_EQ(net(x).data<float>(), x.data<float>());
  EXPECT_THROW(Dropout(1.0)(x), Error);
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
  EXPECT_NE(text.find("\ntotal "), std::string::npos);
  std::istringstream lines(text);
  std::string line;
  for (std::size_t width = text.find('\n'); std::getline(lines, line);) EXPECT_EQ(line.size(), width) << line;
}

}  // namespace
}  // namespace reprise::test
