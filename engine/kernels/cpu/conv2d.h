// Convolutions for kernels that do something else with their pixels while they are in cache (tap_conv.h).
#pragma once

#include "engine/core/view.h"
#include "engine/kernels/args.h"
#include "engine/kernels/cpu/conv/tap_conv.h"

namespace reprise::kernels::cpu {

// conv2d_fwd in its direct form. With several groups `made` would be told of each.
template <class T>
void convolve(const Conv2dArgs& a, View x, View w, MutView y, const Finish<T>& finish = {},
              const PixelsMade& made = {});

// conv2d_dgrad. With a source, only the shape of dy is used.
template <class T>
void convolve_back(const Conv2dArgs& a, bool accumulate, View dy, View w, MutView dx,
                   const PixelSource<T>& source = {});

}  // namespace reprise::kernels::cpu
