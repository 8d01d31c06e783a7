// Helpers for tests of training: small tasks on disk, and the program in the background.
#pragma once

#include <sys/types.h>

#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/apps/support.h"

namespace reprise::test {

// Returns an image file (PPM) of size x size pixels in a class's colour, with noise.
void write_image(const std::string& path, int size, int label, std::uint64_t seed);
// Writes <dir>/<task>/<class>/<n>.ppm: three classes of `images` images each, 8x8 pixels.
void write_task(const std::string& dir, const std::string& task, int images = 6);

// The program, running in the background.
class Running {
 public:
  // Its output goes to files of its own, standard error where asked to another. It ignores only the
  // signal asked for; this process may ignore more, in a shell's background job or under nohup.
  explicit Running(const std::vector<std::string>& arguments, const std::string& stderr_to = {},
                   int ignored = 0);
  ~Running();
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  void send(int signal) const;
  int wait();  // returns the exit status, or 128 + n if signal n ended the program

 private:
  TempDir dir_;
  pid_t pid_ = 0;
};

// Sets environment variables, and removes them at the end.
class Variables {
 public:
  explicit Variables(std::map<std::string, std::string> values) : values_(std::move(values)) {
    for (const auto& [name, value] : values_) setenv(name.c_str(), value.c_str(), 1);
  }
  ~Variables() {
    for (const auto& [name, value] : values_) unsetenv(name.c_str());
  }
  Variables(const Variables&) = delete;
  Variables& operator=(const Variables&) = delete;

 private:
  std::map<std::string, std::string> values_;
};

// Returns the records of a run's processes, log/process-*.json, sorted by name.
std::vector<nlohmann::json> process_records(const std::string& run);

// Waits, for a minute at most, until the file has that many lines.
bool wait_for_lines(const std::string& path, int lines);

}  // namespace reprise::test
