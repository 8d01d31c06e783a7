// For tests of the program: folders that go away, the program run as a user runs it, and a small backbone.
#pragma once

#include <string>
#include <vector>

#include "data/weights/state_dict.h"
#include "engine/core/tensor.h"

namespace reprise::test {

// A folder of its own, removed at the end.
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
  int status;  // the exit status; 128 + n where signal n ended it
  std::string out, err;
};
// The program with these arguments; standard output can be sent to a file instead of `out`.
Outcome clr(const std::vector<std::string>& arguments, const std::string& stdout_to = {});

// A ResNet-20 of random weights and statistics, in the file's layout.
std::vector<data::NamedTensor> tiny_backbone(std::uint64_t seed = 1, int classes = 10);
// The same as a file; gives the path back.
std::string write_tiny_backbone(const std::string& path, std::uint64_t seed = 1, int classes = 10);

// u8 (count,size,size,3) of noise, and labels 0..classes-1 in turn.
Tensor noise_images(std::int64_t count, int size, std::uint64_t seed = 2);
Tensor labels_in_turn(std::int64_t count, int classes);

std::string read_text(const std::string& path);
void write_text(const std::string& path, const std::string& text);
bool exists(const std::string& path);
// The largest absolute difference, divided by the largest absolute value of `expected`.
double relative_difference(const Tensor& got, const Tensor& expected);
// "../shared/real/<name>", or empty where it is not there.
std::string real_input(const std::string& name);

}  // namespace reprise::test
