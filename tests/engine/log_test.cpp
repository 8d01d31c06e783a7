// Lines on standard error.
#include "engine/base/log.h"

#include <gtest/gtest.h>

namespace reprise {
namespace {

TEST(Log, WritesLinesOfPrintableText) {
  ::testing::internal::CaptureStderr();
  log_line("caf\xE9 1\n2");
  log_warning("\xC3\x84pfel\x1B");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "caf\\xE9 1\n2\nwarning: \xC3\x84pfel\\x1B\n");
}

}  // namespace
}  // namespace reprise
