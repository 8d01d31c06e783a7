// A long training needs no more memory than a short one.
#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <iterator>

#include "tests/survive/survive.h"

extern char** environ;

namespace reprise::test {
namespace {

using Memory = Survive;

// Returns the peak memory of `clr arguments` in KiB, or -1 if it failed.
long peak_kib(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), CLR_BINARY);
  arguments.push_back("--quiet");
  std::vector<char*> argv;
  for (auto& a : arguments) argv.push_back(a.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  pid_t child = 0;
  const bool began = posix_spawn(&child, CLR_BINARY, &actions, nullptr, argv.data(), environ) == 0;
  posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  rusage usage{};
  if (!began || wait4(child, &status, 0, &usage) != child || status != 0) return -1;
  return usage.ru_maxrss;
}

TEST_F(Memory, does_not_grow_over_200_epochs) {
  const auto epochs = [&](const std::string& n) {
    auto command = train("epochs" + n);
    *std::next(std::find(command.begin(), command.end(), "--epochs")) = n;
    command.insert(command.end(), {"--patience", "1000", "--tasks", "one"});
    return peak_kib(command);
  };
  const long few = epochs("10"), many = epochs("200");
  ASSERT_GT(few, 0);
  ASSERT_GT(many, 0);
  RecordProperty("kib_after_10_epochs", std::to_string(few));
  RecordProperty("kib_after_200_epochs", std::to_string(many));
  // This network's tensors take hundreds of KiB per epoch, so a leak would show 190 times.
  // A sanitizer keeps freed memory for a while.
  EXPECT_LT(many - few, is_sanitized() ? 64 * 1024 : 1024) << few << " KiB, then " << many;
}

}  // namespace
}  // namespace reprise::test
