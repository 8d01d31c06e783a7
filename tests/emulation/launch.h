// Runs the threads of a kernel on the host, one after the other.
#pragma once

#include <functional>

struct dim3 {
  unsigned x, y, z;
  explicit dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

// Which thread is running; names as in CUDA.
extern dim3 blockIdx, threadIdx, blockDim, gridDim;
void __syncthreads();

namespace reprise::emulation {

// Threads that never wait; and threads that may meet at __syncthreads(), each a fiber of its own.
void launch(dim3 grid, dim3 block, const std::function<void()>& thread);
void launch_blocks(dim3 grid, dim3 block, const std::function<void()>& thread);

// While it lives, device memory can be read and written, sealed memory read. Nests.
class DeviceAccess {
 public:
  DeviceAccess();
  ~DeviceAccess();
  DeviceAccess(const DeviceAccess&) = delete;
  DeviceAccess& operator=(const DeviceAccess&) = delete;
};

}  // namespace reprise::emulation
