#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "engine/base/gpu.h"
#include "engine/core/storage.h"
#include "engine/core/tensor.h"
#include "engine/kernels/run.h"
#include "engine/ops/ops.h"
#include "tests/engine/expect_error.h"

namespace reprise {
namespace {

using testing::expect_error;

constexpr Device cuda{Device::Kind::cuda, 0};

// Skips without a GPU.
class Gpu : public ::testing::Test {
 protected:
  void SetUp() override {
    if (gpu::count() == 0) GTEST_SKIP() << "no GPU can be used here";
  }
};
using GpuMemory = Gpu;
using GpuDeathTest = Gpu;

Tensor counted(std::int64_t n) {
  std::vector<float> v(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < v.size(); ++i) v[i] = static_cast<float>(i % 1000);
  return tensor({n}, v);
}
bool equal(const Tensor& a, const Tensor& b) {
  const Tensor x = a.to(cpu_device), y = b.to(cpu_device);
  const auto p = x.raw_bytes(), q = y.raw_bytes();
  return a.shape() == b.shape() && std::equal(p.begin(), p.end(), q.begin(), q.end());
}

TEST(NoGpu, IsSaidWithARemedy) {
  if (gpu::count() > 0) GTEST_SKIP() << "there is a GPU";
  expect_error([] { empty({1}, DType::f32, cuda); }, "cuda:0", "cpu");
  expect_error([] { tensor({1}, {1}).to(cuda); }, "cuda:0");
}

TEST_F(GpuMemory, RoundTripsOfEveryDtype) {
  const Tensor x = counted(100003);
  EXPECT_TRUE(equal(x.to(cuda), x));
  EXPECT_TRUE(equal(x.to(cuda).clone(), x));
  EXPECT_TRUE(equal(x.to(cuda).rows(17, 100001), x.rows(17, 100001)));
  for (const DType d : {DType::bf16, DType::f64, DType::u8, DType::i64})
    EXPECT_TRUE(equal(x.to(cuda).to(d), x.to(d))) << name_of(d);
  EXPECT_TRUE(equal(zeros({77}, DType::f32, cuda), zeros({77})));
  EXPECT_TRUE(equal(full({77}, 2.5, DType::f32, cuda), full({77}, 2.5)));
  EXPECT_TRUE(equal(tensor({3}, {1, 2, 3}, cuda), tensor({3}, {1, 2, 3})));
  EXPECT_EQ(full({}, 4, DType::f32, cuda).item(), 4);
  EXPECT_EQ(empty({0, 5}, DType::f32, cuda).to(cpu_device).numel(), 0);
}

TEST_F(GpuMemory, TheHostCannotReadItByMistake) {
  const Tensor x = zeros({4}, DType::f32, cuda);
  expect_error([&] { x.data<float>(); }, "cuda:0", "host");
  expect_error([&] { x.raw_bytes(); }, "cuda:0", "host");
}

TEST_F(GpuMemory, AnotherGpuGetsACopy) {
  if (gpu::count() < 2) GTEST_SKIP() << "there is one GPU only";
  const Tensor x = counted(1000);
  EXPECT_TRUE(equal(x.to(cuda).to({Device::Kind::cuda, 1}), x));
  const Tensor y = ops::relu(x.to({Device::Kind::cuda, 1}));
  EXPECT_TRUE(equal(y, x));
  expect_error([&] { ops::add(y, x.to(cuda)); }, "another device");
}

TEST_F(GpuMemory, BlocksAreKeptAndCounted) {
  release_cached_memory(cuda);
  const Tensor keep = empty({1}, DType::f32, cuda);
  const void* first = empty({54321}, DType::f32, cuda).view().ptr;
  const Tensor again = empty({54321}, DType::f32, cuda);
  EXPECT_EQ(again.view().ptr, first);
  EXPECT_GE(memory_stats(cuda).in_use, 4u * 54321);
  release_cached_memory(cuda);
  EXPECT_EQ(memory_stats(cuda).cached, 0u);
}

// ctest also runs this program with REPRISE_CUDA_EXACT=1.
TEST_F(GpuMemory, ExactBlocksEndWithTheirTensorsAndAreNotKept) {
  if (std::getenv("REPRISE_CUDA_EXACT") == nullptr) GTEST_SKIP() << "REPRISE_CUDA_EXACT is not set";
  const std::size_t before = memory_stats(cuda).in_use;
  {
    const Tensor x = counted(1027).to(cuda);
    EXPECT_EQ(memory_stats(cuda).in_use, before + 4 * 1027);
    EXPECT_TRUE(equal(ops::relu(x), counted(1027)));
  }
  EXPECT_EQ(memory_stats(cuda).in_use, before);
  EXPECT_EQ(memory_stats(cuda).cached, 0u);
}

TEST_F(GpuMemory, TooMuchNamesARemedy) {
  expect_error([] { empty({std::int64_t{1} << 45}, DType::f32, cuda); }, "cuda:0", "could not get",
               "a smaller batch");
  const Tensor x = counted(10).to(cuda);
  EXPECT_EQ(ops::sum(x).item(), 45) << "the device still works";
}

TEST_F(GpuMemory, AMissingDeviceIsNamed) {
  expect_error([] { empty({1}, DType::f32, {Device::Kind::cuda, 97}); }, "cuda:97");
}

// A kernel that gets a shape larger than its output writes into the guard zone after it.
TEST_F(GpuMemory, AnOverrunIsFound) {
  set_memory_debug(true);
  const std::int64_t before = guard_violations();
  { const Tensor t = zeros({7}, DType::f32, cuda); }
  EXPECT_EQ(guard_violations(), before);
  {
    Tensor t = zeros({7}, DType::f32, cuda);
    const Tensor x = zeros({8}, DType::f32, cuda);
    MutView wide = t.mut_view();
    wide.shape = {8};
    run(kernels::unary_fwd, cuda, DType::f32, UnaryArgs{UnaryOp::relu}, x.view(), wide);
  }
  set_memory_debug(false);
  EXPECT_EQ(guard_violations(), before + 1);
}

TEST_F(GpuMemory, AnErrorNamesTheKernelAndItsShapes) {
  const Tensor x = zeros({4}, DType::bf16, cuda);
  expect_error([&] { ops::norm(x, NormKind::l2); }, "norm_fwd", "bf16", "cuda:0");
}

TEST_F(GpuMemory, SealedBlocksHoldWhatWasSealed) {
  std::vector<Tensor> sealed, copies;
  for (std::int64_t n : {1, 5, 1000, 70000, 3000000, 9000000, 2}) {
    copies.push_back(counted(n));
    sealed.push_back(copies.back().to(cuda).sealed_copy());
  }
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    EXPECT_TRUE(equal(sealed[i], copies[i])) << i;
    EXPECT_NO_THROW(sealed[i].storage()->verify_seal());
    EXPECT_TRUE(equal(ops::relu(sealed[i]), copies[i])) << "a kernel reads it";
    expect_error([&] { sealed[i].mut_view(); }, "sealed");
  }
  sealed.erase(sealed.begin() + 1, sealed.begin() + 5);
  EXPECT_TRUE(equal(counted(4444).to(cuda).sealed_copy(), counted(4444)));
  EXPECT_TRUE(equal(sealed[0], copies[0]));
}

// Lets a kernel overwrite a const tensor with zeros, and waits for the kernel.
void overwrite(const Tensor& t) {
  try {
    const Tensor x = zeros(t.shape(), DType::f32, cuda);
    run(kernels::unary_fwd, cuda, DType::f32, UnaryArgs{UnaryOp::relu}, x.view(),
        MutView{const_cast<void*>(t.view().ptr), t.shape(), t.dtype()});
    gpu::synchronize(0);
  } catch (const Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    std::_Exit(3);
  }
  std::fprintf(stderr, "written\n");
}

TEST_F(GpuMemory, AnUnsealedTensorCanBeOverwrittenSo) {
  const Tensor t = counted(100).to(cuda);
  overwrite(t);
  EXPECT_TRUE(equal(t, zeros({100})));
}

// A child process runs the kernel, because the fault ends all its work on the device.
TEST_F(GpuDeathTest, AKernelsWriteToSealedMemoryIsAFault) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const Tensor t = counted(100).to(cuda).sealed_copy(), plain = counted(100).to(cuda);
  EXPECT_DEATH(
      {
        overwrite(plain);
        overwrite(t);
      },
      "written");  // the first message, not the second
  EXPECT_TRUE(equal(t, counted(100)));
}

}  // namespace
}  // namespace reprise
