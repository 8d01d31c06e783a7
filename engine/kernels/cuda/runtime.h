// Host-side helpers of this folder's kernels. Includes no CUDA header, so any file may include it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "engine/core/device.h"

struct CUstream_st;  // what cudaStream_t points to

namespace reprise::kernels::cuda {

// Returns the device that gpu::select chose in this thread, and the one stream of that device.
int current_device();
CUstream_st* stream();

// Counts a launch for gpu::launches(): check_launch() for a kernel, the library's caller for a call of it.
void count_launch();
// Throws Error if the last kernel launch failed.
void check_launch();
// Throws Error, naming the call `what` and a remedy, unless `code` (a cudaError_t) is 0, success.
void check_runtime(int code, const char* what);

// Throws InternalError, naming `what`, while this thread captures a graph.
void forbid_in_capture(const char* what);

// Returns `blocks` as a grid size. Throws Error if it exceeds 2^31 - 1, the largest grid.
unsigned grid_size(std::int64_t blocks);

// Device memory from the pool, for the kernels of one call. Its destructor need not wait for them:
// all work runs in one stream, so the block's next user runs after them.
class Scratch {
 public:
  explicit Scratch(std::size_t bytes);
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  template <class T>
  T* as() const {
    return static_cast<T*>(static_cast<void*>(data_));
  }
  std::byte* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }

 private:
  std::byte* data_;
  std::size_t bytes_;
  Device device_;
};

}  // namespace reprise::kernels::cuda
