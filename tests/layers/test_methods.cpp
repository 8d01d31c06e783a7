// What each method trains, stores and counts; its names.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "engine/autograd/autograd.h"
#include "engine/base/error.h"
#include "engine/ops/ops.h"
#include "tests/layers/golden.h"

namespace reprise::test {
namespace {

using layers::ConstEntry, layers::Entry;

std::int64_t count(const std::vector<ConstEntry>& entries, bool (*pick)(const ConstEntry&)) {
  std::int64_t n = 0;
  for (const ConstEntry& e : entries)
    if (pick(e)) n += e.tensor->numel();
  return n;
}
bool is_kernel(const ConstEntry& e) {
  return e.name.ends_with(".reprogram.weight");
}
bool is_head(const ConstEntry& e) {
  return e.name.starts_with("fc.");
}
bool is_parameter(const ConstEntry& e) {
  return !e.is_buffer;
}

TEST(Methods, CountsOfResNet50) {
  const auto network = layers::make_network("resnet50", 10);
  struct {
    const char* method;
    std::int64_t kernels, batch_norm;
  } const expected[] = {{"clr", 34560, 106240},
                        {"clr-full", 239040, 106240},
                        {"clr-mixed", 57280, 106240},
                        {"linear", 0, 0},
                        {"bn-only", 0, 106240}};
  for (const auto& e : expected) {
    layers::apply_method(*network, e.method);  // one after another: no trace of an earlier method remains
    const auto task = layers::task_tensors(std::as_const(*network));
    EXPECT_EQ(count(task, is_kernel), e.kernels) << e.method;
    EXPECT_EQ(count(task, is_head), 2048 * 10 + 10) << e.method;
    EXPECT_EQ(count(task, [](const ConstEntry& t) { return !is_kernel(t) && !is_head(t); }), e.batch_norm)
        << e.method;
    EXPECT_EQ(count(network->body(), is_parameter), 23508032) << e.method;
  }
}

TEST(Methods, CountsOfResNet18) {
  const auto network = layers::make_network("resnet18", 10);
  struct {
    const char* method;
    std::int64_t kernels;
  } const expected[] = {{"clr", 9 * 3904}, {"clr-full", 9 * 4800}, {"clr-mixed", 9 * 3904 + 896}};
  for (const auto& e : expected) {
    layers::apply_method(*network, e.method);
    EXPECT_EQ(count(layers::task_tensors(std::as_const(*network)), is_kernel), e.kernels) << e.method;
  }
}

TEST(Methods, CountsOfTorchvisionsOtherNetworks) {
  struct {
    const char* arch;
    std::int64_t clr, full, mixed, batch_norm, features, body;
  } const expected[] = {{"resnext50_32x4d", 68544, 307008, 95040, 136448, 2048, 22979904},
                        {"resnext101_32x8d", 293184, 912960, 362048, 405760, 2048, 86742336},
                        {"wide_resnet50_2", 68544, 307008, 95040, 136448, 2048, 66834240},
                        {"wide_resnet101_2", 146880, 620352, 199488, 275712, 2048, 124837696},
                        {"mobilenet_v2", 64512, 153504, 74400, 68224, 1280, 2223872}};
  for (const auto& e : expected) {
    const auto network = layers::make_network(e.arch, 10);
    for (const auto& [method, kernels] :
         {std::pair("clr", e.clr), {"clr-full", e.full}, {"clr-mixed", e.mixed}}) {
      layers::apply_method(*network, method);
      const auto task = layers::task_tensors(std::as_const(*network));
      EXPECT_EQ(count(task, is_kernel), kernels) << e.arch << " " << method;
      EXPECT_EQ(count(task, [](const ConstEntry&) { return true; }),
                kernels + e.batch_norm + 10 * e.features + 10)
          << e.arch << " " << method;
      EXPECT_EQ(count(network->body(), is_parameter), e.body) << e.arch << " " << method;
    }
  }
}

TEST(Methods, SeedNamesAndUnknownOnes) {
  EXPECT_EQ(layers::find_method("Ghost_reduced_v1").name, "clr");
  EXPECT_EQ(layers::find_method("Linear").name, "linear");
  const std::pair<const char*, const char*> original_names[] = {
      {"Ghost", "clr-full"},         {"Ghost_reduced_v2", "clr-mixed"},
      {"Ghost_a", "clr-residual"},   {"li18", "side-conv"},
      {"li50", "side-conv"},         {"Finetune", "finetune"},
      {"Resnet_Scratch", "scratch"}, {"Xception_Ghost", "clr-full"},
      {"Xception_Linear", "linear"}};
  for (const auto& [original_name, name] : original_names)
    EXPECT_EQ(layers::find_method(original_name).name, name);
  EXPECT_EQ(layers::methods()[0]->name, "clr");
  EXPECT_THROW(layers::find_method("lora"), Error);
  EXPECT_THROW(layers::find_method(""), Error);
}

// ResNet-18: 20 convolutions, 3 of them pointwise, each with a batch norm.
TEST(Methods, ModeTrainedAndPenalisedTensors) {
  struct {
    const char* method;
    bool train_mode;
    std::size_t trained, penalised, constants;
  } const expected[] = {
      {"clr", true, 2 + 40 + 17, 2 + 40 + 17, 17},
      {"clr-full", true, 2 + 40 + 20, 2 + 40 + 20, 20},
      {"clr-mixed", true, 2 + 40 + 20, 2 + 40 + 20, 20},
      {"clr-residual", true, 2 + 40 + 2 * 20, 2 + 40 + 20, 20},  // the scales are not penalised
      {"side-conv", false, 2 + 20, 2 + 20, 20},
      {"linear", false, 2, 2, 0},
      {"bn-only", true, 2 + 40, 2 + 40, 0},
      {"finetune", true, 2 + 40 + 20, 2 + 40, 0},  // nor are convolutions without a reprogramming layer
      {"scratch", true, 2 + 40 + 20, 2 + 40, 0},
  };
  EXPECT_EQ(std::size(expected), layers::methods().size());
  const auto network = layers::make_network("resnet18", 10);
  for (const auto& e : expected) {
    const layers::Method& method = layers::apply_method(*network, e.method);
    EXPECT_EQ(method.starts_at_random, method.name == "scratch");
    EXPECT_EQ(network->is_training(), e.train_mode) << e.method;
    EXPECT_EQ(network->trained_parameters().size(), e.trained) << e.method;
    const layers::Regularised norms = layers::regularised(*network);
    EXPECT_EQ(norms.trained.size(), e.penalised) << e.method;
    EXPECT_EQ(norms.frozen.size(), e.constants) << e.method;
    for (const Tensor& t : norms.trained) EXPECT_TRUE(requires_grad(t)) << e.method;
    for (const Tensor& t : norms.frozen) {
      EXPECT_FALSE(requires_grad(t)) << e.method;
      EXPECT_EQ(t.rank(), 4) << e.method;
    }
    EXPECT_EQ(norms.trained[0].storage(), network->head().weight.storage()) << e.method;
    EXPECT_EQ(norms.trained[1].storage(), network->head().bias.storage()) << e.method;
  }
}

// A network whose images pass a linear layer before the head.
class WithNeck : public layers::Network {
 public:
  WithNeck() : conv_(child<layers::Conv2d>("conv", 3, 2, 1)), neck_(child<layers::Linear>("neck", 2, 2)) {
    head_ = &child<layers::Linear>("head", 2, 2);
  }
  Tensor features(const Tensor& x) override { return neck_(ops::global_avg_pool(conv_(x))); }
  const std::string& arch() const override { return name_; }
  int default_size() const override { return 1; }

 private:
  const std::string name_ = "with_neck";
  layers::Conv2d& conv_;
  layers::Linear& neck_;
};

TEST(Methods, LeaveOtherLayersFrozen) {
  WithNeck network;
  for (const char* method : {"linear", "clr-full"}) {
    layers::apply_method(network, method);
    std::string trained;
    for (const Entry& e : layers::task_tensors(network)) trained += e.name + " ";
    EXPECT_EQ(trained, std::string(method == std::string("linear") ? "" : "conv.reprogram.weight ") +
                           "head.weight head.bias ");
  }
}

TEST(Methods, NamesOfWhatIsAdded) {
  const auto network = layers::make_network("resnet18", 10);
  const auto added = [&](const char* method) {
    layers::apply_method(*network, method);
    std::vector<std::string> names;
    for (const Entry& e : network->named_tensors())
      if (e.name.starts_with("layer2.0.conv1.")) names.push_back(e.name.substr(15));
    return names;
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(added("clr"), (Names{"weight", "reprogram.weight"}));
  EXPECT_EQ(added("clr-residual"), (Names{"weight", "reprogram.weight", "reprogram.scale"}));
  EXPECT_EQ(added("side-conv"), (Names{"weight", "side.weight"}));
  EXPECT_EQ(added("finetune"), (Names{"weight"}));
}

// PyTorch's default for a convolution: uniform in +-1/sqrt(fan_in).
TEST(Methods, StartValuesOfWhatIsNotTheIdentity) {
  const auto network = layers::make_network("resnet18", 10);
  const auto expect_uniform = [&](const char* name, double bound) {
    for (const Entry& e : network->named_tensors()) {
      if (e.name != name) continue;
      double largest = 0, sum = 0;
      for (const float v : e.tensor->values<float>()) {
        largest = std::max(largest, std::abs(static_cast<double>(v)));
        sum += static_cast<double>(v);
      }
      EXPECT_LE(largest, bound) << name;
      EXPECT_GT(largest, 0.98 * bound) << name;
      EXPECT_NEAR(sum / static_cast<double>(e.tensor->numel()), 0, 0.1 * bound) << name;
      return;
    }
    ADD_FAILURE() << "no " << name;
  };
  layers::apply_method(*network, "clr-residual");
  layers::start_values(*network, 1);
  expect_uniform("layer4.0.conv1.reprogram.weight", 1.0 / 3);
  for (const Entry& e : network->named_tensors())
    if (e.name.ends_with(".scale")) copy_into(*e.tensor, ones(e.tensor->shape()));
  layers::start_values(*network, 1);
  for (const Entry& e : network->named_tensors())
    if (e.name.ends_with(".scale")) {
      for (const float v : e.tensor->values<float>()) EXPECT_EQ(v, 0) << e.name;
    }
  layers::apply_method(*network, "side-conv");
  layers::start_values(*network, 1);
  expect_uniform("layer4.0.conv1.side.weight", 1.0 / 16);
}

TEST(Methods, StartsAsTheIdentity) {
  const auto network = layers::make_network("resnet20", 4);
  network->initialize(3);
  network->train(false);
  const Tensor x = golden_images({2, 3, 16, 12}, DType::f32, cpu_device);
  const Tensor before = (*network)(x);
  for (const char* method : {"clr", "clr-full", "clr-mixed", "clr-residual"}) {
    layers::apply_method(*network, method);
    layers::start_values(*network, 4);
    network->train(false);
    const Tensor after = (*network)(x);
    for (std::int64_t i = 0; i < before.numel(); ++i)
      EXPECT_EQ(before.data<float>()[i], after.data<float>()[i]) << method;
  }
}

TEST(Methods, SealedFiltersCannotBeWrittenAndTheTaskCan) {
  const auto network = layers::make_network("resnet20", 4);
  layers::apply_method(*network, "clr");
  network->seal_frozen();
  for (const Entry& e : network->named_tensors()) {
    const bool filter = e.layout == FileLayout::conv;
    EXPECT_EQ(e.tensor->is_sealed(), filter) << e.name;
    if (filter) {
      EXPECT_THROW(e.tensor->mut_view(), Error);
    } else {
      EXPECT_NO_THROW(e.tensor->mut_view());
    }
  }
}

}  // namespace
}  // namespace reprise::test
