// Tensors as weight files have them: by name, in PyTorch's layout.
#pragma once

#include <cstdint>
#include <string>

#include "engine/core/tensor.h"

namespace reprise {

// The order of a tensor's dimensions.
//   plain      the same in memory and in a file
//   conv       (O,R,S,I) in memory, (O,I,R,S) in a file
//   depthwise  (R,S,C) in memory, (C,1,R,S) in a file
//   images     (N,H,W,C) in memory, (N,C,H,W) in a file
enum class FileLayout : std::uint8_t { plain, conv, depthwise, images };

// A tensor of a weight file, in the file's layout.
struct NamedTensor {
  std::string name;
  Tensor tensor;
};

}  // namespace reprise
