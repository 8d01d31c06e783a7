// Runs the threads of a kernel on the host, one after the other.
#pragma once

#include <functional>

#include "tests/emulation/access.h"

struct dim3 {
  unsigned x, y, z;
  explicit dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

// Indices of the running thread, with CUDA's names.
extern dim3 blockIdx, threadIdx, blockDim, gridDim;
void __syncthreads();

namespace reprise::emulation {

// Runs a kernel whose threads never wait for each other.
void launch(dim3 grid, dim3 block, const std::function<void()>& thread);
// Runs a kernel whose threads may meet at __syncthreads(). Each thread is a fiber.
void launch_blocks(dim3 grid, dim3 block, const std::function<void()>& thread);

// The order in which blocks run, and the threads of a block between two barriers. A kernel without
// races gives the same bits in every order. `interleaved` runs one thread of each warp, then the next of each.
enum class Order { forwards, backwards, interleaved };
void set_order(Order order);

}  // namespace reprise::emulation
