#include "engine/kernels/cuda/libraries.h"

#include <gtest/gtest.h>

#include "tests/engine/expect_error.h"

namespace reprise::kernels::cuda {
namespace {

TEST(Library, AMissingOneIsNamedWithRemedies) {
  testing::expect_error(
      [] { Library("nothing 9", {"libreprise-nothing.so.9"}, "convolutions", "package nothing"); },
      "nothing 9 could not be loaded, which computes convolutions", "libreprise-nothing.so.9",
      "package nothing", "LD_LIBRARY_PATH", "REPRISE_CUDA_LIBRARIES=0");
}

TEST(Library, TheFirstNameThatLoadsIsUsed) {
  const Library c("the C library", {"libreprise-nothing.so.9", "libc.so.6"}, "strings", "libc6");
  std::size_t (*length)(const char*) = nullptr;
  c.find(length, "strlen");
  EXPECT_EQ(length("four"), 4u);
  testing::expect_error([&] { c.find(length, "reprise_no_such_function"); }, "the C library",
                        "reprise_no_such_function");
}

}  // namespace
}  // namespace reprise::kernels::cuda
