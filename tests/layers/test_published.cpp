// A published network computes what PyTorch computes. Skips if the weights are absent.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "data/weights/weight_file.h"
#include "engine/autograd/autograd.h"
#include "engine/ops/images.h"
#include "layers/file_layout.h"
#include "layers/layers.h"

namespace reprise::test {
namespace {

// Returns the largest difference, divided by the largest expected value.
double distance(const Tensor& actual, const Tensor& expected) {
  EXPECT_EQ(actual.shape(), expected.shape());
  double largest = 0, off = 0;
  for (std::int64_t i = 0; i < expected.numel(); ++i) {
    const double a = static_cast<double>(actual.data<float>()[i]);
    const double e = static_cast<double>(expected.data<float>()[i]);
    largest = std::max(largest, std::abs(e));
    off = std::max(off, std::abs(a - e));
  }
  return off / largest;
}

TEST(Published, ResNet20AgreesWithPyTorch) {
  const std::string folder = std::string(REPRISE_SOURCE_DIR) + "/../shared/real";
  const std::string backbone = folder + "/backbones/resnet20-12fca82f.th";
  if (!std::filesystem::exists(backbone)) GTEST_SKIP() << "no published weights at " << backbone;
  const data::WeightFile weights = data::read_weights(backbone);
  const auto network = layers::make_network("resnet20", 10);
  for (const layers::Entry& e : network->named_tensors()) {
    const Tensor* found = weights.find("module." + e.name);
    if (found == nullptr) found = weights.find(e.name);
    ASSERT_NE(found, nullptr) << e.name;
    copy_into(*e.tensor, layers::from_file_layout(*found, e.layout));
  }
  network->train(false);

  const data::WeightFile expected = data::read_weights(folder + "/expected/resnet20-12fca82f.safetensors");
  const NoGrad no_grad;
  const Tensor features = network->features(ops::normalize_images(expected.find("images")->rows(0, 8)));
  EXPECT_LT(distance(features, expected.find("features")->rows(0, 8)), 1e-5);
  EXPECT_LT(distance(network->head()(features), expected.find("logits")->rows(0, 8)), 1e-5);
}

}  // namespace
}  // namespace reprise::test
