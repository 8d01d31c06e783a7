// The other side of tests/golden/layers/generate.py: the same values from the same names.
#pragma once

#include <string>
#include <vector>

#include "layers/layers.h"

namespace reprise::test {

// `count` numbers in [-0.5, 0.5), exact in single precision, from the tensor's name.
std::vector<double> values_of(const std::string& name, std::int64_t count);
// Gives every tensor of the network its values; if active, those with which nearly every ReLU is open.
void fill(layers::Network& network, bool active = false);
// (N,H,W,3) from a shape (N,3,H,W), four times the values named "images".
Tensor golden_images(const Shape& file_shape, DType dtype, Device device);
// The tensor's elements in the file's order.
std::vector<double> in_file_order(const Tensor& tensor, FileLayout layout);
// A row of the golden file: the norm and 8 samples.
std::vector<double> golden_row(const std::vector<double>& elements);
// (C,1,R,S) for a depthwise filter in memory (R,S,C), and so on.
Shape file_shape(const Shape& memory, FileLayout layout);

}  // namespace reprise::test
