#include "engine/kernels/run.h"

#include <gtest/gtest.h>

#include <algorithm>

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
  expect_error([] { ops::relu(zeros({2}, DType::bf16, ref_device)); }, "relu_fwd", "bf16", "ref");
}

// f64 has no cpu kernels.
TEST(Run, AFallbackIsCountedAndStrictModeForbidsIt) {
  const Tensor x = tensor({2}, {-1, 2}).to(DType::f64);
  const std::int64_t before = fallback_count();
  EXPECT_EQ(ops::relu(x).data<double>()[1], 2);
  EXPECT_EQ(fallback_count(), before + 1);
  const Strict strict;
  expect_error([&] { ops::relu(x); }, "relu_fwd", "f64", "strict");
  EXPECT_NO_THROW(ops::relu(tensor({1}, {1})));
  EXPECT_EQ(fallback_count(), before + 1);
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
    ops::relu(x);  // not seen any more
    EXPECT_EQ(seen.names, (std::vector<std::string>{"relu_fwd", "binary"}));
  }
}

TEST(Run, ShapesAloneAreThereWithoutAKernel) {
  const Tensor x = tensor({2}, {-1, 2});
  Tensor y;
  {
    const ShapesOnly nothing_computed;
    y = ops::affine(x, 1e30, 7);
    EXPECT_EQ(y.shape(), x.shape());
    expect_error([] { ops::relu(zeros({2}, DType::bf16, ref_device)); }, "relu_fwd", "bf16", "ref");
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
