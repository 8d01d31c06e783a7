// Mean and variance keep their digits where the values' mean is far larger than their deviation.
#include <gtest/gtest.h>

#include <cmath>

#include "engine/base/random.h"
#include "engine/core/tensor.h"
#include "engine/kernels/kernels.h"

namespace reprise::kernels {
namespace {

TEST(CpuSums, MomentsFarFromZero) {
  constexpr std::int64_t rows = 4 * 20 * 21, channels = 35;
  Tensor x = empty({4, 20, 21, channels}), mean = empty({channels}), var = empty({channels});
  RandomStream random(0, "sums_test");
  float* p = x.mutable_data<float>();
  for (std::int64_t i = 0; i < x.numel(); ++i) p[i] = static_cast<float>(1e6 + random.normal());
  cpu::batch_norm_stats<float>(x.view(), mean.mut_view(), var.mut_view());
  for (std::int64_t c = 0; c < channels; ++c) {
    double sum = 0, squares = 0;
    for (std::int64_t r = 0; r < rows; ++r) sum += static_cast<double>(p[r * channels + c]);
    for (std::int64_t r = 0; r < rows; ++r) {
      const double d = static_cast<double>(p[r * channels + c]) - sum / rows;
      squares += d * d;
    }
    EXPECT_EQ(mean.data<float>()[c], static_cast<float>(sum / rows)) << c;
    EXPECT_NEAR(static_cast<double>(var.data<float>()[c]), squares / rows, 1e-6 * squares / rows) << c;
  }
}

}  // namespace
}  // namespace reprise::kernels
