// Values computed by formula, equal to those of tests/golden/parity/generate.py.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/weights/state_dict.h"

namespace reprise::test {

// Noise of a name: its i-th value is a multiple of 2^-20 in [-1,1).
class Noise {
 public:
  explicit Noise(const std::string& name);
  double operator()(std::int64_t i) const;

 private:
  std::uint64_t hash_;
};
// Returns a tensor of a ResNet-20 or of its reprogramming layers, in the file's layout.
data::NamedTensor by_formula(const std::string& name, const Shape& file_shape);
// Returns all tensors of a ResNet-20.
std::vector<data::NamedTensor> resnet20_by_formula(int classes);
// Returns an image file (PPM) of size x size pixels.
std::string image_by_formula(int index, int size);

}  // namespace reprise::test
