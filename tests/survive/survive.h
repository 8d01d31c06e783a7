// A training over three small tasks, and whatever may happen to it.
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

  // The command that trains into this run folder. More options replace those of the same name.
  std::vector<std::string> train(const std::string& run) const;
  // Task files by name; of what else must lie there complete nothing is said.
  std::map<std::string, std::string> task_files(const std::string& run) const;
  // Those of an undisturbed run.
  const std::map<std::string, std::string>& whole();
  // What is in the run folder is whole: task files are those of the undisturbed run, run.json and states can
  // be read, and, where `clean`, nothing temporary is left.
  void expect_nothing_torn(const std::string& run, bool clean);
  // The same command again ends well, and with the same bytes.
  void expect_goes_on(const std::string& run);

  const TempDir dir;

 private:
  std::map<std::string, std::string> whole_;
};

// Sets a variable for programs started while it lives.
class Environment {
 public:
  Environment(std::string name, const std::string& value);
  ~Environment();
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  std::string name_;
};

// Whether this build has a sanitizer, which takes memory and calls for itself.
bool is_sanitized();

}  // namespace reprise::test
