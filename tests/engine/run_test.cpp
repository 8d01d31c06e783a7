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
