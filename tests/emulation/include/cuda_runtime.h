// nvcc's additions to C++, for a host compiler.
#pragma once

#include <cuda_runtime_api.h>

#include <cmath>

#include "tests/emulation/launch.h"

#define __global__
#define __device__
#define __host__
#define __shared__ static  // blocks run one after the other
#define __launch_bounds__(...)

// Blocks run one after the other, so memory needs no fence.
inline void __threadfence() {}
inline unsigned atomicInc(unsigned* count, unsigned last) {
  const unsigned old = *count;
  *count = old >= last ? 0 : old + 1;
  return old;
}

#define REPRISE_LAUNCH(kernel, grid, block, ...)                            \
  (::reprise::emulation::launch(grid, block, [&] { kernel(__VA_ARGS__); }), \
   ::reprise::kernels::cuda::check_launch())
#define REPRISE_LAUNCH_BLOCKS(kernel, grid, block, ...)                            \
  (::reprise::emulation::launch_blocks(grid, block, [&] { kernel(__VA_ARGS__); }), \
   ::reprise::kernels::cuda::check_launch())
