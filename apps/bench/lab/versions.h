// The versions of a hot kernel that led to the one in engine/kernels/cpu, on one image each. Only the winner
// works for every shape; these are for one: whole tiles, filters 3x3, stride 1, the border of zeros written
// out.
#pragma once

#include <cstdint>

#include "engine/kernels/cpu/base/isa.h"

namespace reprise::lab {

// x (H+2,W+2,C), y (H,W,O). O is a multiple of 32, W of 28.
struct ConvCase {
  std::int64_t h, w, c, o;
};
// x (H+2,W+2,C), w (3,3,C), y (H,W,C). C is a multiple of 16.
struct DepthwiseCase {
  std::int64_t h, w, c;
};

}  // namespace reprise::lab

namespace reprise::kernels::cpu {

struct ConvVersions {
  using Function = void (*)(const lab::ConvCase&, const float* x, const float* w, float* y);
  Function plain;     // w (O,3,3,C)
  Function channels;  // w (3,3,C,O)
  Function tile;      // w (3,3,C,O)
};
REPRISE_LEAF(ConvVersions, conv_versions)

struct DepthwiseVersions {
  using Function = void (*)(const lab::DepthwiseCase&, const float* x, const float* w, float* y);
  Function plain, channels, blocks, prefetched;
};
REPRISE_LEAF(DepthwiseVersions, depthwise_versions)

}  // namespace reprise::kernels::cpu
