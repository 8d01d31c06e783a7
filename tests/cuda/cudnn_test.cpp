// Which algorithm and which math type the plans of engine/kernels/cuda/cudnn.cpp use, by the
// emulation's imitation of cuDNN.
#include <cudnn.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "engine/autograd/autograd.h"
#include "engine/core/tensor.h"
#include "engine/kernels/fallback.h"
#include "engine/kernels/run.h"
#include "engine/ops/ops.h"
#include "tests/emulation/cudnn_imitation.h"
#include "tests/engine/expect_error.h"

namespace reprise {
namespace {

using emulation::last_convolution;
using testing::expect_error;

constexpr Device cuda{Device::Kind::cuda, 0};
constexpr int fails_for_odd_channels = 1, refuses_groups = 3;  // the imitation's algorithms

class CudnnPlans : public ::testing::Test {
 protected:
  void SetUp() override {
    setenv("REPRISE_CUDA_LIBRARIES", "1", 1);
    last_convolution() = {};
  }
  void TearDown() override {
    unsetenv("REPRISE_CUDA_LIBRARIES");
    set_strict(false);
  }
};

Tensor convolve(const Shape& x, const Shape& w, DType dtype, const Conv2dArgs& args = {}) {
  return ops::conv2d(ones(x, DType::f32, cuda).to(dtype), ones(w, DType::f32, cuda), args);
}

TEST_F(CudnnPlans, Bf16UsesTensorCores) {
  EXPECT_EQ(
      convolve({1, 3, 3, 16}, {8, 1, 1, 16}, DType::bf16).to(DType::f32).to(cpu_device).data<float>()[0], 16);
  EXPECT_EQ(last_convolution().math, CUDNN_TENSOR_OP_MATH);
  EXPECT_EQ(last_convolution().algorithm, fails_for_odd_channels);
}

TEST_F(CudnnPlans, F32KeepsExactProducts) {
  convolve({1, 3, 3, 16}, {8, 1, 1, 16}, DType::f32);
  EXPECT_EQ(last_convolution().math, CUDNN_FMA_MATH);
}

TEST_F(CudnnPlans, TheFilterGradientOfBf16MayUseTf32) {
  const Tensor x = ones({1, 3, 3, 16}, DType::f32, cuda).to(DType::bf16);
  const Tensor w = ones({8, 1, 1, 16}, DType::f32, cuda);
  set_requires_grad(w);
  const Tensor y = ops::conv2d(x, w, {});
  backward(y, ones(y.shape(), y.dtype(), cuda));
  EXPECT_EQ(grad(w).to(cpu_device).data<float>()[0], 9);
  EXPECT_EQ(last_convolution().math, CUDNN_DEFAULT_MATH);
}

TEST_F(CudnnPlans, AnImagesThreeChannelsBecomeEight) {
  const Tensor y = convolve({1, 3, 3, 3}, {8, 1, 1, 3}, DType::bf16);
  EXPECT_EQ(y.to(DType::f32).to(cpu_device).data<float>()[0], 3);
  EXPECT_EQ(last_convolution().channels, 8);
}

TEST_F(CudnnPlans, ARefusalFallsToTheNextAlgorithm) {
  const std::int64_t before = fallback_count();
  convolve({1, 3, 3, 5}, {8, 1, 1, 5}, DType::f32);
  EXPECT_EQ(last_convolution().algorithm, refuses_groups);
  EXPECT_EQ(fallback_count(), before);
}

TEST_F(CudnnPlans, WithoutAnAlgorithmThePlainKernelIsCountedByShape) {
  Conv2dArgs args;
  args.groups = 3;
  const std::int64_t before = fallback_count();
  const Tensor y = convolve({1, 3, 3, 9}, {3, 1, 1, 3}, DType::f32, args);
  EXPECT_EQ(y.to(cpu_device).data<float>()[0], 3);
  EXPECT_EQ(fallback_count(), before + 1);
  EXPECT_NE(fallback_report().find("1 x conv2d forward f32 input [1, 3, 3, 9]"), std::string::npos)
      << fallback_report();
  set_strict(true);
  expect_error(
      [&] {
        convolve({1, 3, 3, 9}, {3, 1, 1, 3}, DType::f32, args);
      },
      "no deterministic algorithm", "groups 3", "strict");
}

}  // namespace
}  // namespace reprise
