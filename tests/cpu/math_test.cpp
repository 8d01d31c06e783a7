// exp, log, sqrt, tanh, sigmoid have the same bits on every instruction set, and small errors.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "engine/base/check.h"
#include "engine/base/parallel.h"
#include "engine/kernels/cpu/leaf/elementwise.h"

namespace reprise::kernels::cpu {
namespace {

constexpr UnaryOp ops[] = {UnaryOp::exp, UnaryOp::log, UnaryOp::sqrt, UnaryOp::tanh, UnaryOp::sigmoid};
constexpr double largest_error[] = {1.0, 1.0, 0.5, 1.5, 2.5};  // in units in the last place

// Floats of the whole range: every 9973rd bit pattern, without subnormal ones.
std::vector<float> samples() {
  std::vector<float> v;
  for (std::uint64_t bits = 0; bits < (std::uint64_t{1} << 32); bits += 9973) {
    const float x = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    if (std::fpclassify(x) != FP_SUBNORMAL) v.push_back(x);
  }
  return v;
}

std::vector<float> apply(const ElementwiseLeaf<float>& leaf, UnaryOp op, const std::vector<float>& x) {
  const FlushDenormals flush;
  std::vector<float> y(x.size());
  leaf.unary_fwd({.op = op}, x.data(), y.data(), static_cast<std::int64_t>(x.size()));
  return y;
}

double exact(UnaryOp op, double x) {
  switch (op) {
    case UnaryOp::exp:
      return std::exp(x);
    case UnaryOp::log:
      return std::log(x);
    case UnaryOp::sqrt:
      return std::sqrt(x);
    case UnaryOp::tanh:
      return std::tanh(x);
    case UnaryOp::sigmoid:
      return 1 / (1 + std::exp(-x));
    default:
      throw_error("math_test: op {} is not one of this test's", static_cast<int>(op));
  }
}

TEST(CpuMath, CloseToExact) {
  const std::vector<float> x = samples();
  for (std::size_t k = 0; k < std::size(ops); ++k) {
    const std::vector<float> y = apply(isa_portable::elementwise_leaf_f32, ops[k], x);
    double worst = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double want = exact(ops[k], static_cast<double>(x[i])), got = static_cast<double>(y[i]);
      const float rounded = static_cast<float>(want);
      if (std::isnan(rounded) || std::isinf(rounded)) {
        ASSERT_TRUE(std::isnan(rounded) ? std::isnan(y[i]) : y[i] == rounded)
            << "op " << k << " of " << x[i] << " gives " << y[i] << ", expected " << rounded;
      } else if (std::abs(want) < static_cast<double>(std::numeric_limits<float>::min())) {
        ASSERT_LE(std::abs(got), 1.2e-38) << "op " << k << " of " << x[i];
      } else {
        worst = std::max(worst, std::abs(got - want) / std::ldexp(1.0, std::ilogb(want) - 23));
      }
    }
    EXPECT_LE(worst, largest_error[k]) << "op " << k;
  }
}

TEST(CpuMath, SpecialValues) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> x{0.0f, -0.0f, infinity, -infinity, std::nanf("")};
  const std::vector<float> e = apply(elementwise_leaf<float>(), UnaryOp::exp, x);
  EXPECT_EQ(e[0], 1);
  EXPECT_EQ(e[1], 1);
  EXPECT_EQ(e[2], infinity);
  EXPECT_EQ(e[3], 0);
  EXPECT_TRUE(std::isnan(e[4]));
  const std::vector<float> l = apply(elementwise_leaf<float>(), UnaryOp::log, x);
  EXPECT_EQ(l[0], -infinity);
  EXPECT_EQ(l[1], -infinity);
  EXPECT_EQ(l[2], infinity);
  EXPECT_TRUE(std::isnan(l[3]));
  EXPECT_TRUE(std::isnan(l[4]));
}

#if defined(__x86_64__)
TEST(CpuMath, SameBitsOnEveryInstructionSet) {
  if (cpu_isa() == Isa::portable) GTEST_SKIP() << "only the portable build runs here";
  const std::vector<float> x = samples();
  const auto bits = [](const std::vector<float>& v) {
    std::vector<std::uint32_t> b;
    for (float f : v) b.push_back(std::isnan(f) ? 0x7fc00000u : std::bit_cast<std::uint32_t>(f));
    return b;
  };
  for (UnaryOp op : ops) {
    const auto portable = bits(apply(isa_portable::elementwise_leaf_f32, op, x));
    EXPECT_TRUE(bits(apply(isa_avx2::elementwise_leaf_f32, op, x)) == portable) << static_cast<int>(op);
    if (cpu_isa() >= Isa::avx512) {
      EXPECT_TRUE(bits(apply(isa_avx512::elementwise_leaf_f32, op, x)) == portable) << static_cast<int>(op);
    }
  }
}
#endif

}  // namespace
}  // namespace reprise::kernels::cpu
