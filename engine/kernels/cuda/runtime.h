// What the kernels of this folder share on the host's side. No CUDA header, so that any file may include it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "engine/core/device.h"

struct CUstream_st;  // what cudaStream_t points to

namespace reprise::kernels::cuda {

// The device that gpu::select named in this thread, and its one stream.
int current_device();
CUstream_st* stream();

// Throws Error where the last launch was refused.
void check_launch();
// Throws Error naming the library's call and the remedy; code 0 is success in all of them.
void check_runtime(int code, const char* what);

// As a number of blocks; Error where a grid cannot be that large (2^31 - 1).
unsigned grid_size(std::int64_t blocks);

// Memory for the duration of one kernel, from the device's pool. All work runs in one stream, so whoever gets
// the block next comes later.
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
