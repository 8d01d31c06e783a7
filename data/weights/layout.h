// The door between the files' layout and the engine's (engine/core/file_layout.h).
#pragma once

#include "engine/core/file_layout.h"
#include "engine/core/tensor.h"

namespace reprise::data {

// conv: (O,I,R,S) to (O,R,S,I).  depthwise: (C,1,R,S) to (R,S,C).  images: (N,C,H,W) to (N,H,W,C).  plain:
// the tensor itself. Any dtype, on a host device. Throws Error on any other shape.
REPRISE_API Tensor from_file_layout(const Tensor& tensor, FileLayout layout);
// The way back.
REPRISE_API Tensor to_file_layout(const Tensor& tensor, FileLayout layout);

}  // namespace reprise::data
