// The C++ counterpart of tests/golden/layers/generate.py:
// computes the same values from the same names.
#pragma once

#include <string>
#include <vector>

#include "layers/layers.h"

namespace reprise::test {

// Computes `count` numbers in [-0.5, 0.5), exact in single precision, from the tensor's name.
std::vector<double> values_of(const std::string& name, std::int64_t count);
// Fills every tensor of the network. With `active`, nearly every ReLU is open.
void fill(layers::Network& network, bool active = false);
// Returns images (N,H,W,3) for a file_shape (N,3,H,W): four times the values named "images".
Tensor golden_images(const Shape& file_shape, DType dtype, Device device);
// Returns the tensor's elements in the file's order.
std::vector<double> in_file_order(const Tensor& tensor, FileLayout layout);
// Computes a row of the golden file: the norm and 8 of the elements.
std::vector<double> golden_row(const std::vector<double>& elements);

}  // namespace reprise::test
