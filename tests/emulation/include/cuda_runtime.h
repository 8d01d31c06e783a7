// nvcc's additions to C++, for a host compiler.
#pragma once

#include <cuda_runtime_api.h>

#include <cmath>

#include "tests/emulation/launch.h"

#define __global__
#define __device__
#define __host__
#define __grid_constant__
#define __shared__ static  // blocks run one after the other
#define __launch_bounds__(...)

// Blocks run one after the other, so memory needs no fence.
inline void __threadfence() {}
inline unsigned atomicInc(unsigned* count, unsigned last) {
  const unsigned old = *count;
  *count = old >= last ? 0 : old + 1;
  return old;
}

namespace reprise::emulation {
// Returns the call of a kernel with copies of its arguments, as a launch takes them.
template <class Kernel, class... Arguments>
auto call_of(Kernel kernel, Arguments... arguments) {
  return [=] { kernel(arguments...); };
}
}  // namespace reprise::emulation

#define REPRISE_CALL(kernel, ...) \
  ::reprise::emulation::call_of([=](auto... copies) { kernel(copies...); }, __VA_ARGS__)
#define REPRISE_LAUNCH(kernel, grid, block, ...)                                 \
  (::reprise::emulation::launch(grid, block, REPRISE_CALL(kernel, __VA_ARGS__)), \
   ::reprise::kernels::cuda::check_launch())
#define REPRISE_LAUNCH_BLOCKS(kernel, grid, block, ...)                                 \
  (::reprise::emulation::launch_blocks(grid, block, REPRISE_CALL(kernel, __VA_ARGS__)), \
   ::reprise::kernels::cuda::check_launch())
