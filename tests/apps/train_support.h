// For tests of training: small tasks on disk, and the program left running.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "tests/apps/support.h"

namespace reprise::test {

// An image file (PPM) of size x size pixels in a class's colour, with noise.
void write_image(const std::string& path, int size, int label, std::uint64_t seed);
// <dir>/<task>/<class>/<n>.ppm for three classes of `images` images each; of 8x8 pixels.
void write_task(const std::string& dir, const std::string& task, int images = 6);

// The program, not waited for.
class Running {
 public:
  // Its output goes to files of its own, standard error where asked to another.
  explicit Running(const std::vector<std::string>& arguments, const std::string& stderr_to = {});
  ~Running();
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  void send(int signal) const;
  int wait();  // the exit status; 128 + n where signal n ended it

 private:
  TempDir dir_;
  pid_t pid_ = 0;
};

// Waits (at most a minute) until the file has so many lines.
bool wait_for_lines(const std::string& path, int lines);

}  // namespace reprise::test
