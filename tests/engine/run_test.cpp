#include "engine/kernels/run.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "engine/ops/ops.h"
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

TEST(Run, TheMatrixHasALinePerKernel) {
  const std::string matrix = support_matrix();
  std::vector<std::string> names;
#define KERNEL(name_, ...) names.push_back(#name_);
#include "engine/kernels/kernels.def"
#undef KERNEL
  for (const std::string& name : names) EXPECT_NE(matrix.find("\n" + name + " "), std::string::npos) << name;
  EXPECT_EQ(static_cast<std::size_t>(std::count(matrix.begin(), matrix.end(), '\n')), names.size() + 1);
}

}  // namespace
}  // namespace reprise
