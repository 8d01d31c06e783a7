// Convolutions for kernels that do more with the pixels while they are in cache (conv/tap_conv.h).
#pragma once

#include "engine/core/view.h"
#include "engine/kernels/args.h"
#include "engine/kernels/cpu/conv/tap_conv.h"

namespace reprise::kernels::cpu {

// Computes y = conv2d(x, w), always in the direct form; x (N,H,W,C), w (O,R,S,I). `finish` is
// applied to the outputs, and `made` is told of outputs that are complete; both need a.groups == 1.
template <class T>
void convolve(const Conv2dArgs& a, View x, View w, MutView y, const Finish<T>& finish = {},
              const PixelsMade& made = {});

// Computes dx, the gradient of x, or with `accumulate` adds it to dx. A source computes the pixels
// of dy; then only dy's shape is used, and w must not be a filter to which Winograd's form applies.
template <class T>
void convolve_back(const Conv2dArgs& a, bool accumulate, View dy, View w, MutView dx,
                   const PixelSource<T>& source = {});

}  // namespace reprise::kernels::cpu
