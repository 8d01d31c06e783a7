// Depthwise convolution, one run of outputs at a time. z is the run's window (window.h).
#pragma once

#include "engine/kernels/cpu/base/isa.h"
#include "engine/kernels/cpu/leaf/window.h"

namespace reprise::kernels::cpu {

template <class T>
struct DepthwiseLeaf {
  // out[o] = sum over taps of in[o + tap] * taps[tap], channel by channel; forward and dgrad.
  // Prefetches `next`, memory of the size of `out` that the caller uses afterwards.
  void (*gather)(const Window& z, const T* in, const float* taps, T* out, const T* next);
  // The same for a whole row of three or more outputs, with two or three rows of three
  // taps, stride 1 and a border of one: the first output has no left column, the last
  // output no right one. `in` is the row's first column.
  void (*gather_row)(const Window& z, const T* in, const float* taps, T* out, const T* next);
  // taps[tap] += sum over o of in[o + tap] * out[o], where `out` is the output's gradient; wgrad.
  void (*correlate)(const Window& z, const T* in, const T* out, float* taps);
  // The same for a whole row as above, but of two or more outputs.
  void (*correlate_row)(const Window& z, const T* in, const T* out, float* taps);
};
REPRISE_LEAF_OF(DepthwiseLeaf, depthwise_leaf)

}  // namespace reprise::kernels::cpu
