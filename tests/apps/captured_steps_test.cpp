// Training steps on a GPU, replayed from a graph, beside the same steps run plainly; evaluation there.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <set>

#include "apps/clr/learn/backbone.h"
#include "apps/clr/learn/step.h"
#include "data/loader/check_readable.h"
#include "data/sets/find_tasks.h"
#include "engine/base/gpu.h"
#include "engine/kernels/probe.h"
#include "engine/kernels/run.h"
#include "layers/reprogramming/method.h"
#include "tests/apps/train_support.h"

namespace reprise::test {
namespace {

using namespace reprise::clr;

constexpr Device cuda{Device::Kind::cuda, 0};

struct Way {
  const char *method, *optimizer, *penalty;
  DType dtype;
};

// Notes the batch sizes of convolutions. Steps run plainly while a probe watches.
struct Watcher : KernelProbe {
  void after(const KernelCall& call) override {
    for (const KernelCall::Operand& o : call.operands)
      if (std::string_view(call.name).starts_with("conv") && o.name == "x") sizes.insert(o.view.shape[0]);
  }
  std::set<std::int64_t> sizes;
};

struct Trained {
  std::vector<Tensor> tensors;  // of the task, on the host
  std::vector<StepResult> results;
  std::int64_t replays = 0;
};

class OnGpu : public testing::Test {
 protected:
  void SetUp() override {
    if (gpu::count() == 0) GTEST_SKIP() << "no GPU can be used here";
    write_task(dir_ / "data", "dots");
    path_ = write_tiny_backbone(dir_ / "b.safetensors");
    task_ = data::find_tasks(dir_ / "data", {}).at(0);
    images_ = data::check_readable(task_, {}, 8, dir_ / "cache");
  }

  TempDir dir_;
  std::string path_;
  data::Task task_;
  data::TaskImages images_;
};

class CapturedSteps : public OnGpu, public testing::WithParamInterface<Way> {
 protected:
  // Does 11 steps of 5 and of 3 images; in between it evaluates, keeps new tensors and changes the rate.
  Trained train(const Way& way) {
    Recipe recipe;
    recipe.optimizer = way.optimizer;
    recipe.penalty = way.penalty;
    recipe.lambda = 1e-3;
    const Backbone backbone = load_backbone(path_, "auto", cuda, way.dtype);
    const auto network = backbone.instantiate(way.method, 3, 0, "dots");
    Inputs inputs(*network, *images_.train, cuda, way.dtype, false);
    Learner learner(*network, recipe);
    std::vector<Tensor> later;
    for (std::int64_t s = 0; s < 11; ++s) {
      std::vector<std::int64_t> indices{s % 15, (s + 4) % 15, (s + 9) % 15};
      if (s % 2 == 0) indices.insert(indices.end(), {(s + 1) % 15, (s + 6) % 15});
      learner.optimizer().set_lr(0.01 / static_cast<double>(s + 1));
      learner.start(inputs, indices);
      if (s % 4 == 3) evaluate(*network, inputs);
      for (const std::int64_t n : {1, 100, 50'000}) later.push_back(full({n}, 3, DType::f32, cuda));
    }
    for (const Tensor& t : later) EXPECT_EQ(t.rows(0, 1).item(), 3);
    Trained trained{{}, learner.results(), learner.replays()};
    for (const layers::Entry& e : layers::task_tensors(*network))
      trained.tensors.push_back(e.tensor->to(cpu_device));
    return trained;
  }
};

TEST_P(CapturedSteps, GiveTheBitsOfPlainOnes) {
  Watcher watcher;
  Trained plain;
  {
    const ProbeScope scope(watcher);
    plain = train(GetParam());
  }
  const Trained captured = train(GetParam());
  EXPECT_EQ(plain.replays, 0);
  EXPECT_GE(captured.replays, 7);
  ASSERT_EQ(plain.results.size(), 11U);
  ASSERT_EQ(captured.results.size(), 11U);
  for (std::size_t i = 0; i < 11; ++i) {
    EXPECT_EQ(plain.results[i].loss, captured.results[i].loss) << "step " << i;
    EXPECT_EQ(plain.results[i].cross_entropy, captured.results[i].cross_entropy) << "step " << i;
    EXPECT_EQ(plain.results[i].correct, captured.results[i].correct) << "step " << i;
  }
  ASSERT_EQ(plain.tensors.size(), captured.tensors.size());
  for (std::size_t i = 0; i < plain.tensors.size(); ++i)
    EXPECT_TRUE(std::ranges::equal(plain.tensors[i].raw_bytes(), captured.tensors[i].raw_bytes()))
        << "tensor " << i;
}

// cuDNN chooses its algorithm by the shape, and an image's logits may not depend on its batch. So the
// 15 images are evaluated in a full batch of 256, and the images that fill it do not count.
TEST_F(OnGpu, EvaluationFillsItsBatches) {
  setenv("REPRISE_CUDA_LIBRARIES", "1", 1);
  if (!gpu::chooses_by_shape()) GTEST_SKIP() << "this build has no libraries, nor imitations";
  const auto evaluated = [&](Device device, Watcher& watcher) {
    const Backbone backbone = load_backbone(path_, "auto", device, DType::f32);
    const auto network = backbone.instantiate("clr", 3, 0, "dots");
    Inputs inputs(*network, *images_.train, device, DType::f32, false);
    const ProbeScope scope(watcher);
    return evaluate(*network, inputs);
  };
  Watcher on_gpu, on_cpu;
  const Evaluation filled = evaluated(cuda, on_gpu), exact = evaluated(cpu_device, on_cpu);
  EXPECT_EQ(on_gpu.sizes, (std::set<std::int64_t>{256}));
  EXPECT_EQ(on_cpu.sizes, (std::set<std::int64_t>{15}));
  EXPECT_EQ(filled.accuracy, exact.accuracy);
  EXPECT_NEAR(filled.loss, exact.loss, 1e-5);
  unsetenv("REPRISE_CUDA_LIBRARIES");
}

INSTANTIATE_TEST_SUITE_P(Ways, CapturedSteps,
                         testing::Values(Way{"clr", "adam", "l12", DType::bf16},
                                         Way{"clr-full", "sgd", "l1", DType::f32}));

}  // namespace
}  // namespace reprise::test
