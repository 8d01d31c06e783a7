// The fixture of these tests:
// a training over three small tasks, and checks after something happened to it.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "tests/apps/train_support.h"

namespace reprise::test {

class Survive : public testing::Test {
 protected:
  void SetUp() override;

  // Returns the command that trains into the folder `run`.
  std::vector<std::string> train(const std::string& run) const;
  // Returns the contents of the run's task files, by name.
  std::map<std::string, std::string> task_files(const std::string& run) const;
  // Returns the task files of an undisturbed run.
  const std::map<std::string, std::string>& whole();
  // Expects that the task files equal those of the undisturbed run,
  // that run.json and states are readable, and, if `clean`, that no temporary file is left.
  void expect_nothing_torn(const std::string& run, bool clean);
  // Runs the command again and expects success and the same bytes.
  void expect_goes_on(const std::string& run);

  const TempDir dir;

 private:
  std::map<std::string, std::string> whole_;
};

// Sets an environment variable for programs that are started while it lives.
class Environment {
 public:
  Environment(std::string name, const std::string& value);
  ~Environment();
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  std::string name_;
};

// Returns whether this build has a sanitizer, which has its own allocator and intercepts calls.
bool is_sanitized();

}  // namespace reprise::test
