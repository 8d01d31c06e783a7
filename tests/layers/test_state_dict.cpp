// State dicts: what loads, what is refused, and the layout at the door. PyTorch's values are from
// tests/golden/layers/generate_flatten.py.
#include <gtest/gtest.h>

#include <filesystem>

#include "data/weights/weight_file.h"
#include "engine/autograd/autograd.h"
#include "layers/file_layout.h"
#include "layers/layers.h"
#include "tests/engine/expect_error.h"

namespace reprise::layers {
namespace {

using testing::expect_error;

data::WeightFile flatten_file() {
  return data::read_weights(std::string(REPRISE_SOURCE_DIR) + "/tests/golden/layers/flatten.pth");
}

std::vector<NamedTensor> of_network(const data::WeightFile& file) {
  std::vector<NamedTensor> tensors;
  for (const auto& [name, tensor] : file.tensors)
    if (name.starts_with("net.")) tensors.push_back({name.substr(4), tensor});
  return tensors;
}

struct FlattenNet : Sequential {
  explicit FlattenNet(const Shape& image) {
    add<Conv2d>(3, 4, 3, {.padding = 1});
    add<ReLU>();
    add<MaxPool2d>(2);
    add<Flatten>(image);
    add<BatchNorm2d>(24);
    add<Linear>(24, 5);
  }
};

TEST(StateDict, AHeadAfterFlattenComputesWhatPyTorchComputes) {
  const data::WeightFile file = flatten_file();
  FlattenNet net({3, 2, 4});
  const LoadReport report = load_state_dict(net, of_network(file));
  EXPECT_EQ(report.matched.size(), 8u);
  EXPECT_EQ(net.trained_parameters().size(), 6u);  // loading keeps the marks
  net.train(false);
  const Tensor y = net(from_file_layout(*file.find("input"), FileLayout::images));
  const Tensor& expected = *file.find("output");
  ASSERT_EQ(y.shape(), expected.shape());
  for (std::int64_t i = 0; i < y.numel(); ++i)
    EXPECT_NEAR(y.data<float>()[i], expected.data<float>()[i], 1e-6);
}

TEST(StateDict, WritesBackWhatWasRead) {
  const std::vector<NamedTensor> tensors = of_network(flatten_file());
  FlattenNet net({3, 2, 4});
  load_state_dict(net, tensors);
  const std::string path = ::testing::TempDir() + "flatten_net.pth";
  data::write_pth(path, state_dict(net));
  const data::WeightFile again = data::read_weights(path);
  std::filesystem::remove(path);
  std::size_t compared = 0;
  for (const auto& [name, tensor] : tensors) {
    if (name.ends_with("num_batches_tracked")) continue;
    ASSERT_NE(again.find(name), nullptr) << name;
    EXPECT_TRUE(std::ranges::equal(again.find(name)->raw_bytes(), tensor.raw_bytes())) << name;
    ++compared;
  }
  EXPECT_EQ(compared, again.tensors.size());
  EXPECT_NE(state_dict(net)[4].tensor.view().ptr,
            dynamic_cast<BatchNorm2d*>(net.find("4"))->running_mean.view().ptr);
}

TEST(StateDict, AFlattenThatDoesNotKnowItsImageIsRefused) {
  const std::vector<NamedTensor> tensors = of_network(flatten_file());
  FlattenNet net({}), other({3, 2, 5});
  expect_error([&] { load_state_dict(net, tensors); }, "a Flatten of unknown images", "Flatten({H, W, C})",
               "name    4.weight");
  expect_error([&] { load_state_dict(other, tensors); }, "a Flatten of [3, 2, 5]");
  expect_error([&] { net(zeros({1, 6, 4, 3})), state_dict(net); }, "never given values");
  net.initialize(0);
  expect_error([&] { state_dict(net); }, "a Flatten of unknown images");
  other.initialize(0), other.train(false);
  expect_error(
      [&] {
        other(zeros({1, 6, 4, 3}));
      },
      "flatten: expected images of [3, 2, 5] (H,W,C), got [1, 3, 2, 4]");
}

TEST(StateDict, AStrictLoadListsEveryDifferenceAndChangesNothing) {
  Sequential net;
  const Linear& first = net.add<Linear>(2, 3);
  net.add<Linear>(3, 4);
  net.initialize(0);
  const std::vector<float> before(first.weight.values<float>().begin(), first.weight.values<float>().end());
  const std::vector<NamedTensor> tensors = {{"0.weight", ones({3, 2})},
                                            {"0.bias", ones({3})},
                                            {"1.weight", ones({9, 3})},
                                            {"2.weight", ones({1})},
                                            {"2.num_batches_tracked", zeros({}, DType::i64)}};
  expect_error([&] { load_state_dict(net, tensors); }, "matched 2, missing 1, extra 1, of another shape 1",
               "missing  1.bias [4]", "extra    2.weight [1]",
               "shape    1.weight: [9, 3] f32 in the file, [4, 3] in the network", "strict = false");
  expect_error([&] { load_state_dict(net.named_tensors(), tensors); }, "matched 2, missing 1");
  EXPECT_TRUE(std::ranges::equal(first.weight.values<float>(), before));
  const LoadReport report = load_state_dict(net, tensors, /*strict=*/false);
  EXPECT_EQ(report.matched, (std::vector<std::string>{"0.weight", "0.bias"}));
  EXPECT_EQ(report.extra, (std::vector<std::string>{"2.weight [1]"}));
  for (const float v : first.weight.values<float>()) EXPECT_EQ(v, 1);
}

TEST(StateDict, AStrictLoadRefusesDifferencesOfAnyKind) {
  const std::pair<std::vector<NamedTensor>, const char*> cases[] = {
      {{{"weight", ones({1, 2})}, {"offset", ones({1})}}, "missing 1, extra 1, of another shape 0"},
      {{{"weight", ones({1, 3})}}, "missing 1, extra 0, of another shape 1"},
      {{{"weight", ones({1, 3})}, {"bias", ones({1})}, {"offset", ones({1})}},
       "missing 0, extra 1, of another shape 1"}};
  for (const auto& given : cases) {
    Linear layer(2, 1);
    expect_error([&] { load_state_dict(layer, given.first); }, given.second);
  }
}

TEST(StateDict, AReportListsNoMoreThan64TensorsOfAKind) {
  LoadReport report;
  for (int i = 1; i <= 64; ++i) report.missing.push_back(std::to_string(i) + ".weight");
  const std::string all = report.text();
  EXPECT_TRUE(all.ends_with("\n  missing  64.weight")) << all;
  report.missing.push_back("65.weight");
  EXPECT_EQ(report.text(), "matched 0, missing 65" + all.substr(21) + "\n  missing  and 1 more");
}

TEST(StateDict, KeepsDtypeAndDeviceAndRefusesSealedTensors) {
  Linear layer(2, 1);
  layer.to(ref_device), layer.to(DType::f64);
  const Tensor weight = layer.weight;
  load_state_dict(layer, {{"weight", ones({1, 2})}, {"bias", ones({1})}});
  EXPECT_EQ(weight.data<double>()[1], 1);  // in place: an optimizer still holds the tensor
  layer.set_requires_grad(false);
  layer.seal_frozen();
  expect_error(
      [&] {
        load_state_dict(layer, {{"weight", ones({1, 2})}, {"bias", ones({1})}});
      },
      "sealed", "name    weight");
}

}  // namespace
}  // namespace reprise::layers
