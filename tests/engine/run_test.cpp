#include "engine/kernels/run.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

#include "engine/kernels/allowance.h"
#include "engine/ops/ops.h"
#include "tests/engine/exit_with.h"
#include "tests/engine/expect_error.h"

namespace reprise {
namespace {

using testing::expect_error;

class Strict {
 public:
  Strict() { set_strict(true); }
  ~Strict() { set_strict(false); }
};

TEST(Run, AMissingKernelIsAnErrorByName) {
  expect_error([] { ops::relu(zeros({2}, DType::bf16, ref_device)); }, "unary_fwd", "bf16", "ref");
  expect_error([] { ops::softmax(zeros({2, 3}, DType::bf16, cpu_device)); }, "softmax_fwd", "bf16", "cpu");
}

// f64 has no cpu kernels.
TEST(Run, AFallbackIsCountedAndStrictModeForbidsIt) {
  const Tensor x = tensor({2}, {-1, 2}).to(DType::f64);
  const std::int64_t before = fallback_count();
  EXPECT_EQ(ops::relu(x).data<double>()[1], 2);
  EXPECT_EQ(fallback_count(), before + 1);
  const Strict strict;
  expect_error([&] { ops::relu(x); }, "unary_fwd", "f64", "strict");
  EXPECT_NO_THROW(ops::relu(tensor({1}, {1})));
  EXPECT_EQ(fallback_count(), before + 1);
}

// A probe of a kernel with struct operands sees the members' names and the reference's results.
struct SeenBlock : KernelProbe {
  bool wants_reference() const override { return true; }
  void after(const KernelCall& call) override {
    for (std::size_t k = 0; k < call.operands.size(); ++k) {
      const auto& [view, written, name] = call.operands[k];
      names += std::string(name) + (written ? "= " : " ");
      if (name != "y") continue;
      EXPECT_EQ(call.reference[k].dtype, DType::f64);
      y = {view.value(0), call.reference[k].value(0)};
    }
  }
  std::string names;
  std::array<double, 2> y{};
};

TEST(Run, OperandsInStructsAreNamedAndReplaced) {
  const Tensor x = full({1, 1, 2, 1}, 3), zero = zeros({1}), one = ones({1});
  Tensor y = empty(x.shape());
  kernels::BlockFwdIn in;
  in.x = x.view(), in.mean = one.view(), in.var = one.view(), in.gamma = one.view(), in.beta = zero.view();
  SeenBlock seen;
  {
    const ProbeScope scope(seen);
    run(kernels::conv_block_fwd, cpu_device, DType::f32, ConvBlockArgs{}, in,
        kernels::BlockFwdOut{{}, y.mut_view(), {}});
  }
  EXPECT_EQ(seen.names, "x w filter mean var gamma beta residual made= y= open= ");
  EXPECT_EQ(seen.y[0], static_cast<double>(y.data<float>()[0]));
  EXPECT_NEAR(seen.y[1], 2 / std::sqrt(1 + 1e-5), 1e-12);
}

struct Seen : KernelProbe {
  explicit Seen(bool wanted) : reference(wanted) {}
  bool wants_reference() const override { return reference; }
  void after(const KernelCall& call) override {
    names.emplace_back(call.name);
    if (names.size() > 1) return;
    ASSERT_EQ(call.operands.size(), 2u);
    EXPECT_FALSE(call.operands[0].written);
    EXPECT_TRUE(call.operands[1].written);
    EXPECT_EQ(call.operands[1].view.data<float>()[1], 0.1F);
    ASSERT_EQ(call.reference.size(), reference ? 2u : 0u);
    if (reference) {
      EXPECT_EQ(call.reference[1].data<double>()[1], static_cast<double>(0.1F));
    }
  }
  bool reference;
  std::vector<std::string> names;
};

TEST(Run, AProbeSeesEveryCallAndOnRequestTheReference) {
  const Tensor x = tensor({2}, {-1, 0.1F});
  for (const bool reference : {false, true}) {
    Seen seen(reference);
    {
      const ProbeScope scope(seen);
      ops::add(ops::relu(x), x);
    }
    ops::relu(x);  // after the probe's end
    EXPECT_EQ(seen.names, (std::vector<std::string>{"unary_fwd", "binary"}));
  }
}

TEST(Run, ShapesAloneAreThereWithoutAKernel) {
  const Tensor x = tensor({2}, {-1, 2});
  Tensor y;
  {
    const ShapesOnly nothing_computed;
    y = ops::affine(x, 1e30, 7);
    EXPECT_EQ(y.shape(), x.shape());
    expect_error([] { ops::relu(zeros({2}, DType::bf16, ref_device)); }, "unary_fwd", "bf16", "ref");
  }
  EXPECT_NE(y.values<float>()[1], 2e30F + 7);
  EXPECT_EQ(ops::affine(x, 1e30, 7).values<float>()[1], 2e30F + 7);
}

// Returns relu with a cpu kernel whose second result is too large by `wrong`; ref's is right.
kernels::Kernel<void(const UnaryArgs&, View, MutView)> wrong_relu(float wrong) {
  static float by;
  by = wrong;
  auto kernel = kernels::unary_fwd;
  kernel.function[static_cast<int>(Device::Kind::cpu)][static_cast<int>(DType::f32)] = [](const UnaryArgs&,
                                                                                          View x, MutView y) {
    for (std::int64_t i = 0; i < x.numel(); ++i)
      y.data<float>()[i] = std::max(0.0F, x.data<float>()[i]) + (i == 1 ? by : 0);
  };
  return kernel;
}

// Runs relu of 5, x and -9 in a process that validates.
void validated_relu(float x, float wrong, Device device) {
  testing::exit_with("REPRISE_VALIDATE", "1", [=] {
    const Tensor in = tensor({3}, {5, x, -9});
    Tensor out = empty({3});
    run(wrong_relu(wrong), device, DType::f32, UnaryArgs{UnaryOp::relu}, in.view(), out.mut_view());
    return true;
  });
}

TEST(RunDeathTest, ValidationAllowsATenThousandthOfTheLargestValue) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  for (const float error : {0.0F, 4.9e-4F, -4.9e-4F})
    EXPECT_EXIT(validated_relu(2, error, cpu_device), ::testing::ExitedWithCode(0), "") << error;
  for (const float error : {5.1e-4F, -5.1e-4F})
    EXPECT_EXIT(validated_relu(2, error, cpu_device), ::testing::ExitedWithCode(2),
                "validate: unary_fwd on cpu differs from ref in double\n  output  .3.  f32\n  "
                "element 1 is (2.0005|1.9994).*, expected 2 .largest 5.")
        << error;
  EXPECT_EXIT(validated_relu(-2, 4.9e-4F, cpu_device), ::testing::ExitedWithCode(0), "");
  EXPECT_EXIT(validated_relu(2, NAN, cpu_device), ::testing::ExitedWithCode(2),
              "element 1 is -?nan, expected 2");
  EXPECT_EXIT(validated_relu(2, 1, ref_device), ::testing::ExitedWithCode(0), "") << "ref is the measure";
  EXPECT_EQ(kernel_allowance(DType::f32), 1e-4);
  EXPECT_EQ(kernel_allowance(DType::bf16), 1e-2);
  EXPECT_EQ(kernel_allowance(DType::f64), 1e-12);
}

// Integer outputs and absent ones are not compared; NaN where ref has it is right; lists of operands are
// repeated by ref, too.
TEST(RunDeathTest, ValidationLetsWhatIsRightPass) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto steps = [] {
    const Tensor x = tensor({1, 2, 2, 1}, {1, NAN, 3, 4}), row = tensor({2, 3}, {1, 2, 3, 4, 5, 6});
    ops::max_pool2d(x);
    ops::relu(x);
    const Tensor all = ops::concat({row, ops::affine(row, -1, 0), row}, 0);
    return all.dim(0) == 6 && all.values<float>()[6] == -1 && all.values<float>()[12] == 1;
  };
  EXPECT_EXIT(testing::exit_with("REPRISE_VALIDATE", "1", steps), ::testing::ExitedWithCode(0), "");
}

// In a process of its own, as the report is written when the process ends.
TEST(RunDeathTest, FallbacksAreToldWhenTheProcessEndsAndAtOnceIfWanted) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto steps = [](const char* level) {
    setenv("REPRISE_DEBUG", level, 1);
    const Tensor x = tensor({2}, {-1, 2}).to(DType::f64);
    for (int i = 0; i < 3; ++i) ops::relu(x);
    ops::affine(x, 2, 0);
    std::exit(static_cast<int>(fallback_count()));
  };
  const std::string told =
      "slower kernels ran than intended:\n     3 x unary_fwd f64: no cpu kernel, ref runs it\n     1 x "
      "affine f64";
  EXPECT_EXIT(steps("0"), ::testing::ExitedWithCode(4), "^[^[]*" + told);
  EXPECT_EXIT(
      steps("1"), ::testing::ExitedWithCode(4),
      "^[^[]*.fallback. unary_fwd f64: no cpu kernel, ref runs it[^[]*.fallback. affine f64[^[]*" + told);
}

// Between a hundredth of a millisecond and a second.
TEST(RunDeathTest, AKernelsTimeIsThatOfTheCall) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto steps = [] {
    ops::exp(zeros({1 << 22}));
    return true;
  };
  EXPECT_EXIT(testing::exit_with("REPRISE_DEBUG", "4", steps), ::testing::ExitedWithCode(0),
              "unary_fwd +cpu +f32 +([1-9][0-9]*[.]...|0[.](0[1-9].|[1-9]..)) ms .* .4194304. -> .4194304.");
  EXPECT_EXIT(testing::exit_with("REPRISE_DEBUG", "4", steps), ::testing::ExitedWithCode(0),
              "unary_fwd +cpu +f32 +[0-9]?[0-9]?[0-9][.]... ms");
}

TEST(Run, TheMatrixHasALinePerKernel) {
  const std::string matrix = support_matrix();
  std::vector<std::string> names;
#define KERNEL(name_, ...) names.push_back(#name_);
#include "engine/kernels/kernels.def"
#undef KERNEL
  for (const std::string& name : names) EXPECT_NE(matrix.find("\n" + name + " "), std::string::npos) << name;
  EXPECT_EQ(static_cast<std::size_t>(std::count(matrix.begin(), matrix.end(), '\n')), names.size() + 1);
  EXPECT_NE(matrix.find("\nunary_fwd              f32,f64    f32,bf16   "), std::string::npos) << matrix;
}

}  // namespace
}  // namespace reprise
