// Processes that the program starts with its own file: here the test program starts itself.
#include <gtest/gtest.h>
#include <pthread.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>

#include "apps/clr/audit/columns.h"
#include "apps/clr/commands/signals.h"
#include "apps/clr/learn/errors.h"
#include "tests/apps/support.h"

namespace reprise::test {
namespace {

using namespace reprise::clr;
using namespace std::chrono_literals;

// In a child this variable says what the child does; in the parent it is absent.
constexpr const char* part = "CHILD_TEST_PART";

std::string run_this_test(const std::string& with) {
  const std::string name = testing::UnitTest::GetInstance()->current_test_info()->name();
  return run_self({"--gtest_filter=Child." + name},
                  {{part, with}, {"GTEST_TOTAL_SHARDS", "1"}, {"GTEST_SHARD_INDEX", "0"}});
}

TEST(Child, has_the_variables_of_its_parent_except_the_changed_ones) {
  const auto lists = [](const Environment& changed) {
    const std::string tests = run_self({"--gtest_list_tests"}, changed);
    return std::pair(tests.find("Html.\n") != tests.npos, tests.find("Charts.\n") != tests.npos);
  };
  setenv("GTEST_FILTER", "Html.*", 1);
  const auto own = lists({}), another = lists({{"ANOTHER", "x"}}),
             changed = lists({{"GTEST_FILTER", "Charts.*"}});
  unsetenv("GTEST_FILTER");
  EXPECT_EQ(own, std::pair(true, false));
  EXPECT_EQ(another, std::pair(true, false));
  EXPECT_EQ(changed, std::pair(false, true));
}

TEST(Child, must_end_with_status_0) {
  if (const char* status = std::getenv(part)) {
    if (status == std::string("killed")) std::raise(SIGKILL);
    std::_Exit(std::atoi(status));
  }
  EXPECT_EQ(error_of([] { run_this_test("0"); }), "");
  EXPECT_SAYS(error_of([] { run_this_test("3"); }), "must_end_with_status_0` ended with 3");
  EXPECT_SAYS(error_of([] { run_this_test("killed"); }), "must_end_with_status_0` ended with 137");
}

// Runs a child that sleeps, and sends itself signals meanwhile. Ends with 0 if it was interrupted.
[[noreturn]] void run_and_interrupt_a_child() {
  const SignalGuard signals;
  const pthread_t self = pthread_self();
  std::thread([self] {
    for (;; std::this_thread::sleep_for(50ms)) pthread_kill(self, SIGTERM);
  }).detach();
  try {
    run_this_test("sleeps");
  } catch (const Interrupted&) {
    std::_Exit(0);
  }
  std::_Exit(1);
}

TEST(Child, gets_the_signal_of_its_parent) {
  if (std::getenv(part) != nullptr) {
    std::this_thread::sleep_for(20s);
    return;
  }
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EXIT(run_and_interrupt_a_child(), testing::ExitedWithCode(0), "");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 10s);
}

TEST(Child, a_column_s_process_must_print_an_object) {
  // The last of so many shards has no test.
  const Environment no_test{{"GTEST_TOTAL_SHARDS", "1000000"}, {"GTEST_SHARD_INDEX", "999999"}};
  EXPECT_EQ(error_of([&] {
              run_column({"a title", "cpu", "f32", no_test});
            }),
            "a title: the column's process printed no object");
}

}  // namespace
}  // namespace reprise::test
