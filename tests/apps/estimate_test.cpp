// The memory that a training step is expected to take, and what a session says it will do.
#include <gtest/gtest.h>

#include <fstream>
#include <limits>

#include "apps/clr/learn/estimate.h"
#include "apps/clr/learn/session.h"
#include "apps/clr/learn/surroundings.h"
#include "engine/base/cgroup.h"
#include "layers/network.h"
#include "layers/summary.h"
#include "tests/apps/train_support.h"

namespace reprise::test {
namespace {

using namespace reprise::clr;

class Estimates : public testing::Test {
 protected:
  const TempDir dir;
  const Backbone backbone =
      load_backbone(write_tiny_backbone(dir / "b.safetensors"), "auto", cpu_device, DType::f32);
};

// Backward drops batch norms' outputs only where blocks are fused and no convolution learns.
TEST_F(Estimates, count_the_outputs_that_backward_keeps) {
  for (const auto& [method, fuse, drops] : {std::tuple("linear", "1", true),
                                            {"linear", "0", false},
                                            {"bn-only", "1", true},
                                            {"clr", "1", true},
                                            {"clr-residual", "1", false},
                                            {"side-conv", "1", false},
                                            {"finetune", "1", false}}) {
    const Variables set(std::map<std::string, std::string>{{"REPRISE_FUSE", fuse}});
    const auto network = backbone.instantiate(method, 3, 0, "dots");
    std::int64_t outputs = 0, largest = 0;
    for (const auto& row : layers::summarize(*network, 8, 8)) {
      if (!drops || row.type.find("BatchNorm") == std::string::npos) outputs += row.output.numel();
      largest = std::max(largest, row.output.numel());
    }
    EXPECT_EQ(estimate_memory(*network, 8, DType::f32).per_image,
              4 * (outputs + 2 * largest) + 3 * 8 * 8 * (1 + 4))
        << method << " " << fuse;
  }
}

// A frozen filter is packed twice; a 3x3 one takes 36 numbers for 9 in each, unless --winograd off.
TEST_F(Estimates, count_packed_filters) {
  const auto network = backbone.instantiate("linear", 3, 0, "dots");
  std::int64_t filters = 0, others = 0;
  for (const auto& entry : network->named_tensors()) {
    const Tensor& t = *entry.tensor;
    if (!entry.name.starts_with("linear.")) (t.rank() == 4 ? filters : others) += t.numel();
  }
  const auto numbers = [&](std::int64_t forms) { return forms * filters + 3 * others + 5 * (64 + 1) * 3; };
  ASSERT_EQ(winograd_state(cpu_device), "on");
  EXPECT_EQ(estimate_memory(*network, 8, DType::f32).fixed, 4 * numbers(9));
  const auto wide = load_backbone(dir / "b.safetensors", "auto", ref_device, DType::f32)
                        .instantiate("linear", 3, 0, "dots");
  EXPECT_EQ(estimate_memory(*wide, 8, DType::f32).fixed, 4 * numbers(3));
}

TEST_F(Estimates, leave_what_system_and_control_groups_leave) {
  std::ifstream in("/proc/meminfo");
  std::string key;
  std::int64_t kib = 0;
  ASSERT_TRUE(in >> key >> kib);
  ASSERT_EQ(key, "MemTotal:");
  const std::int64_t left = available_memory(cpu_device);
  EXPECT_GT(left, 0);
  EXPECT_LE(left, kib * 1024);
}

TEST(LastBatch, looks_for_a_batch_up_to_1023_away) {
  // A task of b + 1 images makes a batch of b leave one image.
  const auto said = [](std::int64_t batch, std::int64_t last) {
    std::vector<TaskImages> tasks;
    for (std::int64_t b = 2; b <= last; ++b) tasks.emplace_back("a", b + 1);
    return error_of([&] { check_last_batch(tasks, batch, 1); });
  };
  EXPECT_SAYS(said(2, 2), "--batch 3 works");
  EXPECT_SAYS(said(2, 1024), "--batch 1025 works");
  EXPECT_SAYS(said(2, 1025), "whatever the --batch");
  EXPECT_SAYS(error_of([] { check_last_batch({{"a", 4}}, 1, 1); }), "--batch 2 works");
  EXPECT_EQ(error_of([] { check_last_batch({{"a", 1}}, 1, 2); }), "");
}

class Sessions : public Estimates {
 protected:
  Sessions() {
    write_task(dir / "data", "dots");
    write_task(dir / "data", "lines", 3);
    options.data = dir / "data", options.run = dir / "run", options.quiet = true;
    options.recipe.method = "linear", options.recipe.size = 8;
  }
  Plan plan() {
    TrainingObserver nobody;
    Session session(backbone, options, nobody);
    session.prepare();
    return session.plan();
  }
  SessionOptions options;
};

// The most classes of a task, and a batch that the longest task can fill.
TEST_F(Sessions, expect_the_memory_of_the_largest_task) {
  for (const auto& [batch, filled] : {std::pair(32, 15), {7, 7}}) {
    options.recipe.batch = batch;
    const auto network = backbone.instantiate("linear", 3, 0, "estimate");
    EXPECT_EQ(plan().memory, estimate_memory(*network, 8, DType::f32).of_batch(filled)) << batch;
  }
}

TEST_F(Sessions, say_what_they_take) {
  const auto said = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words{"train",      "--backbone", dir / "b.safetensors",
                                   "--data",     dir / "data", "--run",
                                   dir / "none", "--device",   "cpu",
                                   "--size",     "8",          "--method",
                                   "linear",     "--dry-run"};
    words.insert(words.end(), more.begin(), more.end());
    const Outcome o = test::clr(words);
    EXPECT_EQ(o.status, 0) << o.err;
    return o.out + o.err;
  };
  EXPECT_SAYS(said({}), "method linear, 2 tasks, 21 training images of 8x8, expected memory ");
  EXPECT_SAYS(said({"--shard", "2/2"}), "shard 2 of 2: 1 tasks");
}

TEST_F(Sessions, leave_a_limit_of_cached_pixels_that_the_user_set) {
  const Variables set(std::map<std::string, std::string>{{"REPRISE_CACHE_MB", "999999999"}});
  plan();
  EXPECT_STREQ(std::getenv("REPRISE_CACHE_MB"), "999999999");
}

}  // namespace
}  // namespace reprise::test
