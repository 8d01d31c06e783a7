// What the kernels behind a convolution share.
#pragma once

#include <cstdint>

#include "engine/core/view.h"

namespace reprise::kernels::cpu {

// Where the bits of a pixel start that say where a ReLU was open; null where there are none.
inline const std::uint8_t* bits_at(View positive, std::int64_t pixel) {
  return positive ? positive.data<std::uint8_t>() + pixel * positive.dim(3) : nullptr;
}

}  // namespace reprise::kernels::cpu
