// The n-th call of a kind fails, or the program is killed there, for n = 1, 2, 3, ... No file
// is torn or lost, there is always a message, and the same command continues to the same bytes.
#include <signal.h>

#include <cstdlib>

#include "tests/survive/survive.h"

namespace reprise::test {
namespace {

class Calls : public Survive {
 protected:
  Outcome with_failure(const std::string& call, const std::string& how, long at,
                       const std::string& run) const {
    const Environment what("FAIL_CALL", call), which("FAIL_AT", std::to_string(at)), way("FAIL_HOW", how),
        where("FAIL_UNDER", dir / run), preload("LD_PRELOAD", FAIL_CALL_LIBRARY),
        order("ASAN_OPTIONS", "verify_asan_link_order=0");
    return clr(train(run));
  }

  // Lets the calls fail one after another until none is left, and returns how many failed.
  // Resumes only every `stride`-th run, because resuming takes longest.
  int fail_each(const std::string& call, const std::string& how, int stride) {
    int failures = 0;
    for (long at = 1;; ++at) {
      const std::string run = call + how + std::to_string(at);
      const Outcome o = with_failure(call, how, at, run);
      SCOPED_TRACE(call + " " + std::to_string(at) + " " + how + "\n" + o.err);
      expect_nothing_torn(run, how == "error" && call != "unlink");
      if (o.status == 0 && task_files(run) == whole() && o.err.find("clr: ") == std::string::npos) {
        // Either there was no such call, or its failure did no harm.
        if (with_failure(call, how, at + 1, run + "next").status == 0) break;
        continue;
      }
      ++failures;
      if (how == "kill") {
        EXPECT_EQ(o.status, 128 + SIGKILL);
      } else {
        EXPECT_TRUE(o.status == 1 && o.err.find("clr: ") != std::string::npos);
      }
      if (at % stride == 0 || at < 4) expect_goes_on(run);
      if (HasFailure()) return failures;
    }
    RecordProperty(call + "_" + how, failures);
    std::printf("%s, %s: %d\n", call.c_str(), how.c_str(), failures);
    EXPECT_GT(failures, 0);
    return failures;
  }
};

TEST_F(Calls, writes_fail) {
  fail_each("write", "error", 5);
}
TEST_F(Calls, killed_in_the_middle_of_a_write) {
  fail_each("write", "kill", 3);
}
TEST_F(Calls, syncs_and_renames_fail) {
  const int renames = fail_each("rename", "error", 5);
  EXPECT_EQ(fail_each("fsync", "error", 10), 2 * (renames + 1))
      << "each file is synced, and then its folder; run.json is linked and not renamed";
}
TEST_F(Calls, killed_at_a_rename) {
  fail_each("rename", "kill", 3);
}
TEST_F(Calls, opening_for_writing_fails) {
  fail_each("open", "error", 10);
}
TEST_F(Calls, making_folders_fails) {
  fail_each("mkdir", "error", 1);
}

TEST_F(Calls, killed_while_run_json_is_published) {
  EXPECT_EQ(fail_each("link", "kill", 1), 1);
}

TEST_F(Calls, a_file_system_without_links) {
  whole();
  const Outcome o = with_failure("link", "error", 1, "unlinked");
  EXPECT_EQ(o.status, 0) << o.err;
  expect_goes_on("unlinked");
}

TEST_F(Calls, a_file_system_without_locks) {
  whole();
  const Environment what("FAIL_CALL", "flock"), which("FAIL_AT", "0"), way("FAIL_HOW", "error"),
      where("FAIL_UNDER", dir / "unlocked"), order("ASAN_OPTIONS", "verify_asan_link_order=0");
  std::vector<std::unique_ptr<Running>> all;
  Outcome o;
  {
    const Environment preload("LD_PRELOAD", FAIL_CALL_LIBRARY);
    for (int i = 0; i < 2; ++i) all.push_back(std::make_unique<Running>(train("unlocked")));
    o = clr(train("unlocked"));
  }
  EXPECT_EQ(o.status, 0) << o.err;
  EXPECT_NE(o.err.find("no locks on this file system (No locks available)"), std::string::npos) << o.err;
  EXPECT_NE(o.err.find("--shard"), std::string::npos) << o.err;
  EXPECT_EQ(o.err.find("no locks"), o.err.rfind("no locks")) << "said more than once: " << o.err;
  for (auto& r : all) EXPECT_EQ(r->wait(), 0);
  EXPECT_TRUE(task_files("unlocked") == whole());
  EXPECT_EQ(process_records(dir / "unlocked").size(), 3u);
  const std::string results = read_text(dir / "unlocked/results.csv");
  EXPECT_EQ(std::count(results.begin(), results.end(), '\n'), 4) << results;
  expect_goes_on("unlocked");
}

// One allocation fails in each run: of tens of thousands the first few, then ever sparser ones.
TEST_F(Calls, an_allocation_fails) {
  if (is_sanitized()) GTEST_SKIP() << "a sanitizer has an allocator of its own";
  whole();
  int failures = 0, harmless = 0;
  // Some failures do no harm, such as a sort's buffer.
  // After several of these in a row, `at` is past the last.
  for (long at = 1; harmless < 4; at += 1 + at / 6) {
    const std::string run = "malloc" + std::to_string(at);
    const Outcome o = with_failure("malloc", "error", at, run);
    SCOPED_TRACE("allocation " + std::to_string(at) + "\n" + o.err);
    expect_nothing_torn(run, true);
    if (o.status == 0) {
      ASSERT_TRUE(task_files(run) == whole());
      ++harmless;
      continue;
    }
    ++failures;
    harmless = 0;
    ASSERT_TRUE(o.status == 1 && o.err.find("clr: ") != std::string::npos) << o.status;
  }
  std::printf("allocations: %d\n", failures);
  EXPECT_GT(failures, 30);
}

}  // namespace
}  // namespace reprise::test
