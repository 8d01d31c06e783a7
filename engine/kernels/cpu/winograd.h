// Convolutions of 3x3 taps and stride 1 with a frozen filter, as Winograd's F(4x4, 3x3): 36 products of
// matrices where the direct form has 144 multiplications for each 4x4 outputs (Lavin and Gray, *Fast
// Algorithms for Convolutional Neural Networks*, 2016).
#pragma once

#include <cstdint>

#include "engine/core/export.h"
#include "engine/core/view.h"
#include "engine/kernels/args.h"

namespace reprise::kernels::cpu {

// Whether the form may be used at all: REPRISE_WINOGRAD, until set_winograd says otherwise for this process.
REPRISE_API bool winograd_enabled();
REPRISE_API void set_winograd(bool on);

// Whether these convolutions are computed so: the filter (O,3,3,I) is sealed, so that its transform is made
// once; the map and the channels are large enough to gain. A question of shapes alone, not of the batch.
bool winograd_applies(const Conv2dArgs& args, View filter, std::int64_t out_height, std::int64_t out_width);

// In bf16 the filter is rounded first; everything between in and out is f32.
// out (N,OH,OW,O) from in (N,H,W,I), zero outside, the first output's taps beginning `padding` pixels before
// the first input. `transposed`: the gradient's form, where in has the filter's O channels, out its I
// channels, and the taps are turned round.
template <class T>
void winograd_conv(View in, View filter, bool transposed, std::int64_t padding_h, std::int64_t padding_w,
                   MutView out);

}  // namespace reprise::kernels::cpu
