// Depthwise convolution, one run of outputs at a time.
#pragma once

#include "engine/kernels/cpu/isa.h"
#include "engine/kernels/cpu/leaf/window.h"

namespace reprise::kernels::cpu {

struct DepthwiseLeaf {
  // out[o] = sum over taps of in[o + tap] * taps[tap], channel by channel. Forward and dgrad.
  // Meanwhile `next`, memory of out's form that the caller will touch then, is fetched into cache.
  void (*gather)(const Window& z, const float* in, const float* taps, float* out, const float* next);
  // taps[tap] += sum over o of in[o + tap] * out[o]. wgrad.
  void (*correlate)(const Window& z, const float* in, const float* out, float* taps);
};
REPRISE_LEAF(DepthwiseLeaf, depthwise_leaf)

}  // namespace reprise::kernels::cpu
