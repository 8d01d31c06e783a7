// Convolutions of 3x3 taps with a frozen filter, as Winograd's F(4x4, 3x3): for each 4x4 outputs the direct
// form has 144 multiplications, this one 36 for stride 1 and 81 for stride 2 (Lavin and Gray, *Fast
// Algorithms for Convolutional Neural Networks*, 2016; for stride 2, leaf/winograd.h).
#pragma once

#include <cstdint>

#include "engine/base/export.h"
#include "engine/core/view.h"
#include "engine/kernels/args.h"

namespace reprise::kernels::cpu {

// Whether the form may be used at all: REPRISE_WINOGRAD, until set_winograd says otherwise for this process.
REPRISE_API bool winograd_enabled();
REPRISE_API void set_winograd(bool on);

// Whether a convolution, or its gradient with respect to the input, is computed so: the filter (O,3,3,I) is
// sealed, so that its transform is made once; `out`, the map that is written, and the channels are large
// enough to gain. A question of shapes alone, not of the batch.
template <class T>
bool winograd_applies(const Conv2dArgs& args, View filter, const MutView& out);

// As conv2d_fwd and conv2d_dgrad, where winograd_applies. In bf16 the filter is rounded
// first; everything between in and out is f32.
template <class T>
void winograd_fwd(const Conv2dArgs& args, View x, View filter, MutView y);
template <class T>
void winograd_dgrad(const Conv2dArgs& args, bool accumulate, View dy, View filter, MutView dx);

}  // namespace reprise::kernels::cpu
