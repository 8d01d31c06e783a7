// The versions of two hot kernels that led to those in engine/kernels/cpu. Each
// function computes one image. They work only for whole tiles, 3x3 filters, stride 1,
// and inputs with a border of zeros; the winners in the engine work for every shape.
#pragma once

#include <cstdint>

#include "engine/kernels/cpu/base/isa.h"

namespace reprise::lab {

// The sizes of a convolution of x (H+2,W+2,C) into y (H,W,O). O is a multiple of 32, W of 28.
struct ConvCase {
  std::int64_t h, w, c, o;
};
// The sizes of a depthwise convolution of x (H+2,W+2,C) with
// w (3,3,C) into y (H,W,C). C is a multiple of 16, W of 14.
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
