// conv_bn fused and module by module: the same networks give the same bits.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "engine/autograd/autograd.h"
#include "engine/base/error.h"
#include "engine/kernels/run.h"
#include "engine/ops/ops.h"
#include "tests/layers/golden.h"

namespace reprise::test {
namespace {

using namespace layers;

// Sets REPRISE_FUSE while it lives.
class Fuse {
 public:
  explicit Fuse(bool on) {
    if (const char* old = std::getenv("REPRISE_FUSE")) old_ = old;
    setenv("REPRISE_FUSE", on ? "1" : "0", 1);
  }
  ~Fuse() {
    if (old_)
      setenv("REPRISE_FUSE", old_->c_str(), 1);
    else
      unsetenv("REPRISE_FUSE");
  }

 private:
  std::optional<std::string> old_;
};

int blocks = 0;
void count_blocks(const char* name, Device::Kind, DType) {
  blocks += std::strstr(name, "conv_block_") != nullptr ? 1 : 0;
}

struct Setting {
  const char *arch, *method;
  Device device;
  DType dtype;
};

// Returns the results of a training step (the loss, every gradient, every buffer)
// and then the logits in evaluation mode. Counts the fused kernels that ran.
std::vector<std::pair<std::string, Tensor>> step(const Setting& s, bool fuse, int& fused_kernels) {
  const Fuse switched(fuse);
  const auto network = make_network(s.arch, 5);
  fill(*network, true);
  apply_method(*network, s.method);
  start_values(*network, 7);
  network->to(s.dtype);
  network->to(s.device);
  network->seal_frozen();
  const Tensor x = golden_images({3, 3, 36, 44}, s.dtype, s.device);
  const std::vector<std::int64_t> classes{1, 4, 0};
  blocks = 0;
  set_kernel_observer(count_blocks);
  const Tensor loss =
      ops::cross_entropy((*network)(x), tensor({3}, std::span<const std::int64_t>(classes), s.device));
  backward(loss);
  std::vector<std::pair<std::string, Tensor>> made{{"loss", loss.detach()}};
  for (const Entry& e : network->named_tensors()) {
    if (e.is_buffer) made.emplace_back(e.name, *e.tensor);
    if (requires_grad(*e.tensor)) made.emplace_back("gradient of " + e.name, grad(*e.tensor));
  }
  network->train(false);
  const NoGrad no_grad;
  made.emplace_back("logits", (*network)(x));
  set_kernel_observer(nullptr);
  fused_kernels = blocks;
  return made;
}

class Blocks : public ::testing::TestWithParam<Setting> {};

TEST_P(Blocks, FusedAndPlainHaveTheSameBits) {
  int fused_kernels = 0, plain_kernels = 0;
  const auto fused = step(GetParam(), true, fused_kernels), plain = step(GetParam(), false, plain_kernels);
  EXPECT_EQ(plain_kernels, 0);
  EXPECT_GT(fused_kernels, 20);
  ASSERT_EQ(fused.size(), plain.size());
  for (std::size_t i = 0; i < fused.size(); ++i) {
    const auto& [name, a] = fused[i];
    const auto& [plain_name, b] = plain[i];
    EXPECT_EQ(name, plain_name);
    ASSERT_TRUE(a.defined() && b.defined()) << name;
    const auto x = a.raw_bytes(), y = b.raw_bytes();
    EXPECT_TRUE(x.size() == y.size() && std::memcmp(x.data(), y.data(), x.size()) == 0) << name;
  }
}

std::string name_of_test(const ::testing::TestParamInfo<Setting>& tested) {
  std::string name = std::string(tested.param.arch) + "_" + tested.param.method +
                     (tested.param.device == ref_device   ? "_ref"
                      : tested.param.dtype == DType::bf16 ? "_bf16"
                                                          : "");
  for (char& c : name)
    if (c == '-') c = '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(Networks, Blocks,
                         ::testing::Values(Setting{"resnet18", "clr", cpu_device, DType::f32},
                                           Setting{"resnet20", "clr", cpu_device, DType::f32},
                                           Setting{"resnet50", "clr-mixed", cpu_device, DType::f32},
                                           Setting{"resnet18", "clr-residual", cpu_device, DType::f32},
                                           Setting{"resnet18", "side-conv", cpu_device, DType::f32},
                                           Setting{"resnet18", "linear", cpu_device, DType::f32},
                                           Setting{"resnet20", "finetune", cpu_device, DType::f32},
                                           Setting{"xception", "clr-full", cpu_device, DType::f32},
                                           Setting{"mobilenet_v2", "clr-full", cpu_device, DType::f32},
                                           Setting{"resnext50_32x4d", "clr", cpu_device, DType::f32},
                                           Setting{"resnet18", "clr", cpu_device, DType::bf16},
                                           Setting{"resnet50", "clr-mixed", cpu_device, DType::bf16},
                                           Setting{"resnet18", "clr-residual", cpu_device, DType::bf16},
                                           Setting{"resnet18", "side-conv", cpu_device, DType::bf16},
                                           Setting{"resnet20", "finetune", cpu_device, DType::bf16},
                                           Setting{"xception", "clr-full", cpu_device, DType::bf16},
                                           Setting{"mobilenet_v2", "clr-residual", cpu_device, DType::bf16},
                                           Setting{"mobilenet_v2", "finetune", cpu_device, DType::bf16},
                                           Setting{"resnext50_32x4d", "clr-mixed", cpu_device, DType::bf16},
                                           Setting{"resnet20", "clr", ref_device, DType::f64},
                                           Setting{"resnet20", "side-conv", ref_device, DType::f64}),
                         name_of_test);

// With images in bf16 and everything else in f32, a step is near that in f32,
// and a task's tensors are f32.
TEST(Bf16, AStepIsNearTheOneInF32) {
  for (const auto& [arch, method] : {std::pair{"resnet18", "clr"}, {"resnet20", "finetune"}}) {
    int blocks_run = 0;
    const auto narrow = step({arch, method, cpu_device, DType::bf16}, true, blocks_run),
               wide = step({arch, method, cpu_device, DType::f32}, true, blocks_run);
    ASSERT_EQ(narrow.size(), wide.size());
    double all_dot = 0, all_size = 0, all_other = 0;  // over all gradients
    for (std::size_t i = 0; i < narrow.size(); ++i) {
      const auto& [name, a] = narrow[i];
      const Tensor& b = wide[i].second;
      ASSERT_EQ(a.dtype(), DType::f32) << name;
      double error = 0, size = 0, dot = 0, other = 0;
      for (std::int64_t k = 0; k < a.numel(); ++k) {
        const double x = static_cast<double>(a.data<float>()[k]), y = static_cast<double>(b.data<float>()[k]);
        error += (x - y) * (x - y), size += y * y, dot += x * y, other += x * x;
      }
      if (name == "loss" || name == "logits" || name.ends_with("running_mean")) {
        EXPECT_LT(std::sqrt(error), 0.05 * std::sqrt(size) + 1e-3) << name;
      } else if (name.starts_with("gradient")) {
        all_dot += dot, all_size += size, all_other += other;
      }
    }
    // Before a batch norm, single gradients cancel to nothing. Together they point the same way.
    EXPECT_GT(all_dot, 0.98 * std::sqrt(all_size * all_other)) << arch << " " << method;
    EXPECT_NEAR(all_other, all_size, 0.1 * all_size) << arch << " " << method;
  }
}

TEST(ConvBn, AnObserverSeesEveryModule) {
  const auto network = make_network("resnet18", 5);
  network->initialize(1);
  network->train(false);
  const NoGrad no_grad;
  const Tensor x = golden_images({1, 3, 32, 32}, DType::f32, cpu_device);
  EXPECT_TRUE(fuses_blocks());
  const Tensor fused = (*network)(x);
  std::vector<std::string> seen;
  const ForwardObserver observer(
      [&](const Module& m, const Tensor&, const Tensor&) { seen.push_back(m.path()); });
  EXPECT_FALSE(fuses_blocks());
  const Tensor plain = (*network)(x);
  for (const char* path :
       {"conv1", "bn1", "layer2.0.downsample.0", "layer2.0.downsample.1", "layer2.0.downsample"})
    EXPECT_NE(std::find(seen.begin(), seen.end(), path), seen.end()) << path;
  for (std::int64_t i = 0; i < plain.numel(); ++i) EXPECT_EQ(fused.data<float>()[i], plain.data<float>()[i]);
}

TEST(ConvBn, ErrorsNameTheLayer) {
  const auto says = [](Module& network, const Tensor& x, const char* layer) {
    try {
      network(x);
      ADD_FAILURE() << "no error";
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find(std::string("layer   ") + layer), std::string::npos) << e.what();
    }
  };
  const auto network = make_network("resnet20", 3);
  network->initialize(0);
  says(*network, zeros({1, 8, 8, 4}), "conv1");
  dynamic_cast<BatchNorm2d*>(network->find("layer3.0.bn2"))->weight = ones({7});
  network->set_requires_grad(true);
  says(*network, zeros({1, 8, 8, 3}), "layer3.0.bn2");
  // A single value per channel has no variance.
  const auto small = make_network("resnet18", 3);
  small->initialize(0);
  says(*small, zeros({1, 32, 32, 3}), "layer4.0.bn1");
}

}  // namespace
}  // namespace reprise::test
