// The engine's interface to a GPU, without any CUDA header: devices, memory, copies.
// kernels/cuda/ implements it, or gpu_absent.cpp in a build without CUDA: there count() is 0 and
// calls with an index throw Error. Pointers are device addresses, which the host must not follow.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "engine/base/export.h"

namespace reprise::gpu {

// Returns how many GPUs can be used; 0 if there is no driver or device, or no CUDA in this build.
REPRISE_API int count();
// Throws Error, which says why and what would help, if cuda:index cannot be used.
REPRISE_API void require(int index);
// Returns "NVIDIA H100 80GB HBM3, compute capability 9.0, 79 GiB".
REPRISE_API std::string describe(int index);
// Waits for all work on the device. Throws Error if an earlier kernel failed.
REPRISE_API void synchronize(int index);

// Sets the device on which this thread's kernels run.
void select(int index);

// Returns whether libraries compute convolutions and products. They choose algorithms by shape, so
// an output's last bits may depend on the size of its batch.
REPRISE_API bool chooses_by_shape();
// Returns how many kernels and library calls this process has started, for benchmarks.
REPRISE_API std::int64_t launches();

// Returns memory from the driver, or null if there is too little. Only the pool calls this.
std::byte* allocate(int index, std::size_t bytes);
void release(int index, std::byte* p) noexcept;
// Free and total memory of the device, in bytes.
struct Room {
  std::size_t free = 0, total = 0;
};
REPRISE_API Room room(int index);

// Copies and fills run in the order of the device's one stream, and throw Error if CUDA fails.
// copy_in (from the host) returns when `from` may change, copy_out (to the host) when `to` is
// filled. The other two may return earlier.
void copy_in(int index, void* to, const void* from, std::size_t bytes);
void copy_out(int index, void* to, const void* from, std::size_t bytes);
void copy_within(int index, void* to, const void* from, std::size_t bytes);
void fill(int index, void* to, std::uint8_t byte, std::size_t bytes);

// Returns a copy of device memory in pages that kernels can only read: a write is a fault that
// ends all work on the device. Sealed blocks share pages, so many small ones cost little.
std::byte* seal(int index, const void* from, std::size_t bytes);
void release_sealed(int index, std::byte* p) noexcept;

// While a StepMemory lives, this thread takes GPU memory from a second pool, which keeps its memory as
// long as a Graph lives: a replay writes to the addresses of its capture again.
class REPRISE_API StepMemory {
 public:
  StepMemory();
  ~StepMemory();
  StepMemory(const StepMemory&) = delete;
  StepMemory& operator=(const StepMemory&) = delete;

 private:
  bool before_;
};

// A sequence of kernels, device copies and fills. It is captured once. replay() runs it with one call,
// in the same order, on the same addresses. During a capture, allocate under a StepMemory; a read or an
// upload throws InternalError. The tensors that a replay uses must outlive the Graph.
class REPRISE_API Graph {
 public:
  explicit Graph(int index);  // begins to capture this thread's work on the device
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  void finish();  // ends the capture, during which nothing ran
  void replay();

 private:
  int index_;
  void* executable_ = nullptr;
};

// Returns whether training steps are captured: REPRISE_GRAPH, unless REPRISE_CUDA_EXACT frees each
// tensor at once.
REPRISE_API bool captures_steps();

// TF32 rounds the operands of f32 products to 10 bits for the tensor cores, which changes results.
// Off unless switched on here or by REPRISE_TF32.
REPRISE_API void set_tf32(bool on);
REPRISE_API bool tf32();

}  // namespace reprise::gpu
