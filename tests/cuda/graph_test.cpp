// Captured work and the memory that it needs.
#include <gtest/gtest.h>

#include "engine/base/error.h"
#include "engine/base/gpu.h"
#include "engine/core/storage.h"
#include "engine/ops/ops.h"

namespace reprise {
namespace {

constexpr Device cuda{Device::Kind::cuda, 0};

class GpuGraph : public ::testing::Test {
 protected:
  void SetUp() override {
    if (gpu::count() == 0) GTEST_SKIP() << "no GPU can be used here";
  }
};

// Computes y = 2 relu(x) + 1 in the same memory every time.
struct Work {
  Tensor x = tensor({4}, {-1, 2, -3, 4}).to(cuda), y = zeros({4}, DType::f32, cuda);
  void run() {
    const gpu::StepMemory memory;
    copy_into(y, ops::affine(ops::relu(x), 2, 1));
  }
  std::vector<float> result() const {
    const Tensor host = y.to(cpu_device);
    return {host.data<float>(), host.data<float>() + 4};
  }
};

TEST_F(GpuGraph, RunsWhenReplayedAndReadsItsInputsThen) {
  Work work;
  work.run();
  copy_into(work.y, zeros({4}));
  gpu::Graph graph(0);
  work.run();
  graph.finish();
  EXPECT_EQ(work.result(), (std::vector<float>{0, 0, 0, 0}));  // captured, not run
  graph.replay();
  EXPECT_EQ(work.result(), (std::vector<float>{1, 5, 1, 9}));
  copy_into(work.x, tensor({4}, {5, -6, 7, -8}));
  graph.replay();
  EXPECT_EQ(work.result(), (std::vector<float>{11, 1, 15, 1}));
}

// What a capture cannot hold is an error that names it, and the device goes on.
TEST_F(GpuGraph, RefusesReadsUploadsAndWaits) {
  Work work;
  work.run();
  const auto expect = [&](const std::string& message, auto f) {
    try {
      gpu::Graph graph(0);
      work.run();
      f();
      ADD_FAILURE() << "not refused: " << message;
    } catch (const InternalError& e) {
      EXPECT_NE(std::string(e.what()).find(message + " inside a captured step"), std::string::npos)
          << e.what();
    }
  };
  expect("a read", [&] { work.y.to(cpu_device); });
  expect("an upload", [&] { copy_into(work.x, ones({4})); });
  expect("waiting for the device", [] { gpu::synchronize(0); });
  work.run();
  EXPECT_EQ(work.result(), (std::vector<float>{1, 5, 1, 9}));
}

// A tensor made after a capture never gets memory that a replay writes.
TEST_F(GpuGraph, KeepsItsMemoryForItself) {
  Work work;
  work.run();
  gpu::Graph graph(0);
  work.run();
  graph.finish();
  std::vector<Tensor> later;
  for (int i = 0; i < 50; ++i) later.push_back(full({4}, 7, DType::f32, cuda));
  release_cached_memory(cuda);
  graph.replay();
  for (const Tensor& t : later) EXPECT_EQ(t.to(cpu_device).data<float>()[2], 7.0F);
  EXPECT_EQ(work.result(), (std::vector<float>{1, 5, 1, 9}));
}

}  // namespace
}  // namespace reprise
