// Convolutions for kernels that do more with the pixels while they are in cache (conv/tap_conv.h).
#pragma once

#include "engine/core/view.h"
#include "engine/kernels/args.h"
#include "engine/kernels/cpu/conv/tap_conv.h"

namespace reprise::kernels::cpu {

// Computes y (N,OH,OW,O) from x (N,H,W,C) and w (O,R,S,I), as conv2d_fwd does, but
// always in the direct form. `finish` is applied to the outputs; `made` is told of
// outputs that are complete. Both need a.groups == 1.
template <class T>
void convolve(const Conv2dArgs& a, View x, View w, MutView y, const Finish<T>& finish = {},
              const PixelsMade& made = {});

// Computes dx (N,H,W,C), the gradient of x, as conv2d_dgrad does. A source computes the
// pixels of dy; then only dy's shape is used, and the filter must not be one to which
// Winograd's form applies.
template <class T>
void convolve_back(const Conv2dArgs& a, bool accumulate, View dy, View w, MutView dx,
                   const PixelSource<T>& source = {});

}  // namespace reprise::kernels::cpu
