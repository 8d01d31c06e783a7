// The emulation refuses what a GPU would refuse.
#include "tests/emulation/launch.h"

#include <gtest/gtest.h>

namespace reprise::emulation {
namespace {

TEST(EmulationDeathTest, LaunchesBeyondAGpusLimitsStopTheProgram) {
  const auto nothing = [] {};
  launch(dim3(1), dim3(1024), nothing);
  launch(dim3(1), dim3(1, 1, 64), nothing);
  EXPECT_DEATH(launch(dim3(1), dim3(1025), nothing), "a block that a GPU would refuse");
  EXPECT_DEATH(launch(dim3(1), dim3(1, 1, 65), nothing), "a block that a GPU would refuse");
  EXPECT_DEATH(launch(dim3(0), dim3(1), nothing), "a grid that a GPU would refuse");
  EXPECT_DEATH(launch(dim3(1, 65536), dim3(1), nothing), "a grid that a GPU would refuse");
}

}  // namespace
}  // namespace reprise::emulation
