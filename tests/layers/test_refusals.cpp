// What layers and the layer table refuse, and the smallest that they take.
#include <gtest/gtest.h>

#include <array>
#include <functional>

#include "layers/layers.h"
#include "tests/engine/expect_error.h"

namespace reprise::layers {
namespace {

using testing::expect_error;

TEST(Sizes, OfALayerAreAtLeastOne) {
  const std::pair<std::function<void()>, const char*> refused[] = {
      {[] { BatchNorm2d(0); }, "BatchNorm2d: the number of channels must be at least 1, got 0"},
      {[] { Linear(0, 2); }, "Linear: inputs and outputs must be at least 1, got 0 and 2"},
      {[] { Linear(2, 0); }, "Linear: inputs and outputs must be at least 1, got 2 and 0"},
      {[] { Linear(2, 2).resize(0, 1); }, "Linear: outputs must be at least 1, got 0"}};
  for (const auto& given : refused) expect_error(given.first, given.second);
  EXPECT_EQ(BatchNorm2d(1).weight.shape(), (Shape{1}));
  Linear one(1, 1);
  one.resize(1, 1);
  EXPECT_EQ(one.weight.shape(), (Shape{1, 1}));
}

TEST(Flatten, KeepsTheFirstDimension) {
  Flatten flatten;
  EXPECT_EQ(flatten(ones({3})).shape(), (Shape{3, 1}));
  EXPECT_EQ(flatten(ones({3, 2, 5})).shape(), (Shape{3, 10}));
  expect_error([&] { flatten(ones({})); }, "flatten: the input must have at least one dimension");
}

TEST(Summary, OfImagesOfAtLeastOnePixel) {
  const auto network = make_network("resnet20", 2);
  for (const auto& [height, width] : {std::pair(0, 8), {8, 0}})
    expect_error(
        [&, h = height, w = width] { summarize(*network, h, w); },
        "an image must have at least one pixel, got " + std::to_string(height) + "x" + std::to_string(width));
  EXPECT_EQ(summarize(*network, 1, 1)[0].output, (Shape{1, 1, 1, 16}));
}

TEST(Summary, CommasDivideThousands) {
  const std::pair<LayerRow, std::array<const char*, 3>> cases[] = {
      {{"a", "Linear", {1}, 7, 999, 1000}, {"7", "999", "1,000"}},
      {{"a", "Linear", {1}, 99999, 999999, 1000000}, {"99,999", "999,999", "1,000,000"}}};
  for (const auto& [row, numbers] : cases) {
    const std::string text = render({row});
    for (const char* number : numbers) EXPECT_NE(text.find(" " + std::string(number)), text.npos) << text;
  }
}

TEST(Module, TwoChildrenOfOneNameAreAFaultOfTheProgram) {
  struct Parent : Module {
    using Module::child;
    Tensor forward(const Tensor& x) override { return x; }
  } root;
  auto& inner = root.child<Parent>("inner");
  inner.child<ReLU>("act");
  root.child<ReLU>("act");  // another parent: no clash
  try {
    inner.child<ReLU>("act");
    ADD_FAILURE() << "no error";
  } catch (const InternalError& e) {
    EXPECT_NE(std::string(e.what()).find("inner.act: two children named act"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace reprise::layers
