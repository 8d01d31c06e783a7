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

#define REPRISE_LAUNCH(kernel, grid, block, ...) \
  ::reprise::emulation::launch(grid, block, [=] { kernel(__VA_ARGS__); })
#define REPRISE_LAUNCH_BLOCKS(kernel, grid, block, ...) \
  ::reprise::emulation::launch_blocks(grid, block, [=] { kernel(__VA_ARGS__); })
