// Helpers for tests of the program:
// temporary folders, the program as a user runs it, a small backbone.
#pragma once

#include <string>
#include <vector>

#include "data/weights/state_dict.h"
#include "engine/base/error.h"
#include "engine/core/tensor.h"

namespace reprise::test {

// A new temporary folder, which the destructor removes.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

struct Outcome {
  int status;  // the exit status, or 128 + n if signal n ended the program
  std::string out, err;
};
// Runs the program and waits. Standard output goes to `out`, or to the file `stdout_to`.
Outcome clr(const std::vector<std::string>& arguments, const std::string& stdout_to = {});
// Expects a part of a text, in files that include gtest.
#define EXPECT_SAYS(text, part) \
  EXPECT_NE((text).find(part), std::string::npos) << "expected '" << (part) << "' in: " << (text)

// Returns a ResNet-20 with random weights and statistics, in the file's layout.
std::vector<data::NamedTensor> tiny_backbone(std::uint64_t seed = 1, int classes = 10);
// Writes the same to a file and returns its path.
std::string write_tiny_backbone(const std::string& path, std::uint64_t seed = 1, int classes = 10);

// Noise images, u8 (count,size,size,3), and labels 0, 1, ..., classes-1, 0, 1, ...
Tensor noise_images(std::int64_t count, int size, std::uint64_t seed = 2);
Tensor labels_in_turn(std::int64_t count, int classes);

std::string read_text(const std::string& path);
void write_text(const std::string& path, const std::string& text);
bool exists(const std::string& path);
// Returns the largest absolute difference, divided by the largest absolute value of `expected`.
double relative_difference(const Tensor& got, const Tensor& expected);
// Returns the text of the Error that f throws; nothing if it throws none.
std::string error_of(const auto& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return {};
}

// Returns the path "../shared/real/<name>", or "" if it does not exist.
std::string real_input(const std::string& name);

}  // namespace reprise::test
