// Depthwise convolution, one run of outputs at a time.
#pragma once

#include "engine/kernels/cpu/base/isa.h"
#include "engine/kernels/cpu/leaf/window.h"

namespace reprise::kernels::cpu {

template <class T>
struct DepthwiseLeaf {
  // out[o] = sum over taps of in[o + tap] * taps[tap], channel by channel. Forward and dgrad.
  // Meanwhile `next`, memory of out's form that the caller will touch then, is fetched into cache.
  void (*gather)(const Window& z, const T* in, const float* taps, T* out, const T* next);
  // The same for a whole row, three outputs or more, of two or three rows of three taps at stride 1 with a
  // border of one: the first output lacks the column left of the image, the last one that right of it. `in`
  // is the row's first column.
  void (*gather_row)(const Window& z, const T* in, const float* taps, T* out, const T* next);
  // taps[tap] += sum over o of in[o + tap] * out[o]. wgrad.
  void (*correlate)(const Window& z, const T* in, const T* out, float* taps);
  // The same for a whole row, two outputs or more, of two or three rows of three taps at stride 1 with a
  // border of one: the first output's first tap and the last one's last meet no input. `in` is the row's
  // first column.
  void (*correlate_row)(const Window& z, const T* in, const T* out, float* taps);
};
REPRISE_LEAF_OF(DepthwiseLeaf, depthwise_leaf)

}  // namespace reprise::kernels::cpu
