// Turns tensors from the files' layout into the engine's and back (engine/core/file_layout.h).
#pragma once

#include "engine/core/file_layout.h"

namespace reprise::layers {

// Returns a copy in the engine's layout, of any dtype, on a host device. Throws Error on any other
// shape.
//   conv       (O,I,R,S) to (O,R,S,I)
//   depthwise  (C,1,R,S) to (R,S,C)
//   images     (N,C,H,W) to (N,H,W,C)
//   plain      returns the tensor itself
REPRISE_API Tensor from_file_layout(const Tensor& tensor, FileLayout layout);
// Returns a copy in the file's layout: the reverse of from_file_layout.
REPRISE_API Tensor to_file_layout(const Tensor& tensor, FileLayout layout);
// Returns the shape that to_file_layout gives a tensor of this shape.
REPRISE_API Shape file_shape(const Shape& shape, FileLayout layout);

}  // namespace reprise::layers
