// Costs by method and architecture, compared with published numbers.
#include <gtest/gtest.h>

#include <set>

#include "engine/base/error.h"
#include "tests/layers/golden.h"

namespace reprise::test {
namespace {

using layers::TaskCost;

TaskCost cost(const std::string& arch, const std::string& method, int classes = 10) {
  const auto network = layers::make_network(arch, classes);
  layers::apply_method(*network, method);
  return layers::cost_of(*network);
}

// The paper: "less than 0.6 %" of ResNet-50.
TEST(Cost, ResNet50WithClrAsThePaperCountsIt) {
  const TaskCost c = cost("resnet50", "clr");
  EXPECT_EQ(c.reprogramming, 34560);
  EXPECT_EQ(c.batch_norm, 53120);
  EXPECT_EQ(c.statistics, 53120);
  EXPECT_EQ(c.body_parameters, 23508032);
  EXPECT_EQ(c.without_head(), 34560 + 106240);
  EXPECT_NEAR(static_cast<double>(c.without_head()) / static_cast<double>(c.body_parameters), 0.00599,
              0.000005);
  EXPECT_EQ(c.head, 2048 * 10 + 10);
  EXPECT_EQ(c.parameters(), 34560 + 53120 + 20490);
  EXPECT_EQ(c.bytes(), 4 * (34560 + 106240 + 20490));
  EXPECT_EQ(c.network_bytes(), 4 * (23508032 + 53120 + 20490));
}

TEST(Cost, EveryPartIsCountedOnce) {
  for (const char* arch :
       {"resnet18", "resnet50", "xception", "resnet20", "resnext50_32x4d", "wide_resnet50_2", "mobilenet_v2"})
    for (const layers::Method* method : layers::methods()) {
      const bool grouped =
          std::set<std::string>{"xception", "resnext50_32x4d", "mobilenet_v2"}.contains(arch);
      if (grouped && method->name == "side-conv") continue;
      const auto network = layers::make_network(arch, 7);
      layers::apply_method(*network, method->name);
      const TaskCost c = layers::cost_of(*network);
      std::int64_t stored = 0;
      for (const layers::Entry& e : layers::task_tensors(*network)) stored += e.tensor->numel();
      EXPECT_EQ(c.without_head() + c.head, stored) << arch << " " << method->name;
      EXPECT_EQ(c.network_parameters, c.body_parameters + c.head) << arch << " " << method->name;
      if (method->trains_convolutions) {
        EXPECT_EQ(c.parameters(), c.network_parameters) << arch << " " << method->name;
        EXPECT_EQ(stored, c.network_numbers) << arch << " " << method->name;
      }
    }
}

TEST(Cost, BytesFollowTheDType) {
  const auto network = layers::make_network("resnet20", 10);
  network->to(ref_device);
  network->to(DType::f64);
  layers::apply_method(*network, "clr");
  EXPECT_EQ(layers::cost_of(*network).bytes(), 2 * cost("resnet20", "clr").bytes());
}

// ResNet-50 at 224x224: 4.09 billion, and 0.48 % more with clr.
TEST(Cost, MultiplyAdds) {
  const auto network = layers::make_network("resnet50", 1000);
  layers::apply_method(*network, "clr");
  const layers::MultiplyAdds work = layers::multiply_adds_of(*network, 224, 224);
  EXPECT_EQ(work.backbone, 4089184256 + 500);  // the head's 1000 bias additions count half each
  // 9 taps for each output of the stem and of the 3x3 convolutions.
  const std::int64_t outputs =
      64 * 112 * 112 + 3 * 64 * 56 * 56 + 4 * 128 * 28 * 28 + 6 * 256 * 14 * 14 + 3 * 512 * 7 * 7;
  EXPECT_EQ(work.added, 9 * outputs);
  EXPECT_NEAR(static_cast<double>(work.added) / static_cast<double>(work.backbone), 0.0048, 0.00005);

  layers::apply_method(*network, "finetune");
  EXPECT_EQ(layers::multiply_adds_of(*network, 224, 224).added, 0);
}

// torchvision says 0.301 GMAC for MobileNetV2; it counts no batch norm.
TEST(Cost, MultiplyAddsOfMobileNet) {
  const auto network = layers::make_network("mobilenet_v2", 1000);
  layers::apply_method(*network, "clr");
  const layers::MultiplyAdds work = layers::multiply_adds_of(*network, 224, 224);
  EXPECT_NEAR(static_cast<double>(work.backbone), 0.301e9, 0.0005e9);
}

TEST(Methods, SideConvSaysWhereItCannotStand) {
  for (const auto& [arch, where] : {std::pair("xception", "the output of 'conv1'"),
                                    {"resnext50_32x4d", "the output of 'layer1.0.conv2'"},
                                    {"mobilenet_v2", "the output of 'features.1.conv.0.0'"}}) {
    const auto network = layers::make_network(arch, 10);
    try {
      layers::apply_method(*network, "side-conv");
      ADD_FAILURE() << arch << "'s convolution was accepted";
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find(where), std::string::npos) << e.what();
    }
  }
}

}  // namespace
}  // namespace reprise::test
