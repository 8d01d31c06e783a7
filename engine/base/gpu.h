// What the engine asks of a GPU, without any CUDA header: devices, memory, copies. kernels/cuda/ answers; in
// a build without CUDA gpu_absent.cpp does, and says so. Pointers are device addresses, which the host must
// not follow.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "engine/base/export.h"

namespace reprise::gpu {

// How many GPUs can be used: 0 without a driver, without a device, or in a build without CUDA.
REPRISE_API int count();
// Throws Error that says why cuda:index cannot be used and what would help.
REPRISE_API void require(int index);
// "NVIDIA H100 80GB HBM3, compute capability 9.0, 79 GiB"
REPRISE_API std::string describe(int index);
// Waits for all work on that device; throws Error where an earlier kernel failed.
REPRISE_API void synchronize(int index);

// The device that kernels and the calls without an index use in this thread.
void select(int index);

// Memory as the driver gives it; null where there is not enough. The pool of storage.h stands before it.
std::byte* allocate(int index, std::size_t bytes);
void release(int index, std::byte* p) noexcept;
// Free and total memory of the device, in bytes.
struct Room {
  std::size_t free = 0, total = 0;
};
REPRISE_API Room room(int index);

// All in the order of the device's one stream. copy_in returns when `from` may change, copy_out when `to` is
// filled.
void copy_in(int index, void* to, const void* from, std::size_t bytes);
void copy_out(int index, void* to, const void* from, std::size_t bytes);
void copy_within(int index, void* to, const void* from, std::size_t bytes);
void fill(int index, void* to, std::uint8_t byte, std::size_t bytes);

// A copy of device memory in an arena that kernels can only read: a write is a fault that ends all work on
// the device. Sealed blocks share pages, so many small ones cost little.
std::byte* seal(int index, const void* from, std::size_t bytes);
void release_sealed(int index, std::byte* p) noexcept;

// TF32 rounds the operands of f32 products to 10 bits for the tensor cores. Off unless asked for here or by
// REPRISE_TF32; it changes results.
REPRISE_API void set_tf32(bool on);
REPRISE_API bool tf32();

}  // namespace reprise::gpu
