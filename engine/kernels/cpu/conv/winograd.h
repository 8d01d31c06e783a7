// Winograd's form F(4x4, 3x3) for 3x3 convolutions with a frozen filter (Lavin and Gray, *Fast
// Algorithms for Convolutional Neural Networks*, 2016). For each 4x4 outputs the direct form
// takes 144 multiplications, this form 36 with stride 1 and 81 with stride 2 (leaf/winograd.h).
#pragma once

#include <cstdint>

#include "engine/base/export.h"
#include "engine/core/view.h"
#include "engine/kernels/args.h"

namespace reprise::kernels::cpu {

// Returns whether the form may be used at all: as REPRISE_WINOGRAD says, or the last set_winograd.
REPRISE_API bool winograd_enabled();
// Switches the form on or off for this process. Call it while no convolution runs.
REPRISE_API void set_winograd(bool on);

// Returns whether a convolution, or the gradient of its input, is computed in this form; `out`
// is the map that is written. The filter (O,3,3,I) must be sealed, so that it is transformed
// only once, and channels and map must be large enough to gain. The batch has no influence.
template <class T>
bool winograd_applies(const Conv2dArgs& args, View filter, const MutView& out);

// Compute conv2d_fwd and conv2d_dgrad where winograd_applies. In bf16 the filter is
// rounded first; everything between input and output is f32.
template <class T>
void winograd_fwd(const Conv2dArgs& args, View x, View filter, MutView y);
template <class T>
void winograd_dgrad(const Conv2dArgs& args, bool accumulate, View dy, View filter, MutView dx);

// Computes |A^T| (|U| |V|) |A| by the kernels of winograd_fwd in f32, summed over the channels. V is
// B^T x B, or with `absolute` |B^T| x |B|.
REPRISE_API void winograd_sizes(const Conv2dArgs& args, bool absolute, View x, View filter, MutView y);

}  // namespace reprise::kernels::cpu
