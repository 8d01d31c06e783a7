// Implements engine/base/gpu.h: devices, streams and copies by checked calls of the CUDA runtime.
#include "engine/kernels/cuda/runtime.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <map>
#include <mutex>

#include "engine/base/block_pool.h"
#include "engine/base/check.h"
#include "engine/base/gpu.h"
#include "engine/kernels/cuda/libraries.h"

namespace reprise::kernels::cuda {
namespace {

thread_local int selected = 0;

// The device that this thread set last, and the device's stream.
struct Active {
  int device = -1;
  cudaStream_t stream = nullptr;
};
thread_local Active active;

std::atomic<std::int64_t> launch_count{0};

std::string remedy(cudaError_t code) {
  switch (code) {
    case cudaErrorInsufficientDriver:
      return fmt::format(
          "no NVIDIA driver is loaded, or one older than CUDA {}.{} needs; install a newer driver, or use "
          "the device cpu",
          CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
    case cudaErrorNoDevice:
      return "the driver finds no GPU (does CUDA_VISIBLE_DEVICES hide it?); the device cpu works without";
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorUnsupportedPtxVersion:
      return "this build has no code for that GPU; configure with -DCMAKE_CUDA_ARCHITECTURES=native and "
             "build again";
    case cudaErrorMemoryAllocation:
      return "out of device memory; a smaller batch or smaller images need less";
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchFailure:
    case cudaErrorMisalignedAddress:
      return "a kernel failed, and this process cannot use the GPU any more; REPRISE_DEBUG=2 names the "
             "kernel and its shapes";
    default:
      return "";
  }
}

std::string message(cudaError_t code, const char* what, int index) {
  const std::string help = remedy(code);
  return fmt::format("cuda:{}: {}: {} ({}){}{}", index, what, cudaGetErrorString(code),
                     cudaGetErrorName(code), help.empty() ? "" : "\n  ", help);
}

void check(cudaError_t code, const char* what, int index) {
  if (code == cudaSuccess) return;
  cudaGetLastError();  // clears the error, so that a later check does not report it again
  throw_error("{}", message(code, what, index));
}

// Selects the device and returns its stream, created at first use. Only a thread's first use of a
// device, and a change of devices, ask the runtime.
cudaStream_t stream_of(int index) {
  if (active.device == index) return active.stream;
  static std::mutex mutex;
  static auto* streams = new std::map<int, cudaStream_t>;
  check(cudaSetDevice(index), "cudaSetDevice", index);
  const std::lock_guard lock(mutex);
  cudaStream_t& s = (*streams)[index];
  if (s == nullptr) check(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking), "cudaStreamCreate", index);
  active = {index, s};
  return s;
}

// Pinned memory through which uploads pass in parts. From pageable memory the driver would copy
// with the host waiting. One part is filled while the device reads the others.
class UploadRing {
 public:
  static constexpr std::size_t part = std::size_t{4} << 20;

  void copy(int index, std::byte* to, const std::byte* from, std::size_t bytes) {
    const cudaStream_t s = stream_of(index);
    const std::lock_guard lock(mutex_);
    for (std::size_t at = 0; at < bytes; at += part) {
      const std::size_t size = std::min(part, bytes - at);
      Slot& slot = slots_[next_++ % slots_.size()];
      if (slot.memory == nullptr) {
        check(cudaHostAlloc(&slot.memory, part, cudaHostAllocDefault), "cudaHostAlloc", index);
        check(cudaEventCreateWithFlags(&slot.read, cudaEventDisableTiming), "cudaEventCreate", index);
      } else {
        check(cudaEventSynchronize(slot.read), "waiting for an upload", index);
      }
      std::memcpy(slot.memory, from + at, size);
      check(cudaMemcpyAsync(to + at, slot.memory, size, cudaMemcpyHostToDevice, s), "copy to the device",
            index);
      check(cudaEventRecord(slot.read, s), "cudaEventRecord", index);
    }
  }

 private:
  struct Slot {
    void* memory = nullptr;
    cudaEvent_t read = nullptr;  // recorded after the device's last read of the memory
  };
  std::mutex mutex_;
  std::array<Slot, 4> slots_;
  std::size_t next_ = 0;
};

UploadRing& upload_ring(int index) {
  static std::mutex mutex;
  static auto* rings = new std::map<int, UploadRing>;
  const std::lock_guard lock(mutex);
  return (*rings)[index];
}

}  // namespace

int current_device() {
  return selected;
}
CUstream_st* stream() {
  return stream_of(selected);
}
void count_launch() {
  launch_count.fetch_add(1, std::memory_order_relaxed);
}
void check_launch() {
  count_launch();
  check(cudaGetLastError(), "launch", selected);
}
void check_runtime(int code, const char* what) {
  check(static_cast<cudaError_t>(code), what, selected);
}

unsigned grid_size(std::int64_t blocks) {
  REPRISE_CHECK(blocks < std::int64_t{1} << 31,
                "cuda:{}: {} blocks are more than a kernel can have; use a smaller batch", selected, blocks);
  return static_cast<unsigned>(blocks);
}

Scratch::Scratch(std::size_t bytes)
    : bytes_(exact_gpu_blocks() ? std::max<std::size_t>(bytes, 1)
                                : std::max<std::size_t>((bytes + 511) / 512, 1) * 512),
      device_{Device::Kind::cuda, selected} {
  data_ = gpu_pool(device_.index).take(bytes_);
}
Scratch::~Scratch() {
  gpu_pool(device_.index).give(data_, bytes_);
}

}  // namespace reprise::kernels::cuda

namespace reprise::gpu {

using namespace reprise::kernels::cuda;

int count() {
  int n = 0;
  if (cudaGetDeviceCount(&n) != cudaSuccess) {
    cudaGetLastError();
    return 0;
  }
  return n;
}

void require(int index) {
  int n = 0;
  check(cudaGetDeviceCount(&n), "no GPU can be used", index);
  REPRISE_CHECK(index < n, "cuda:{}: there {} only {} GPU{}: cuda:0{}", index, n == 1 ? "is" : "are", n,
                n == 1 ? "" : "s", n == 1 ? "" : fmt::format(" to cuda:{}", n - 1));
  stream_of(index);
}

std::string describe(int index) {
  require(index);
  cudaDeviceProp p{};
  check(cudaGetDeviceProperties(&p, index), "cudaGetDeviceProperties", index);
  return fmt::format("{}, compute capability {}.{}, {} GiB", p.name, p.major, p.minor,
                     p.totalGlobalMem >> 30);
}

void select(int index) {
  stream_of(index);
  selected = index;
}

bool chooses_by_shape() {
  return libraries_wanted();
}
std::int64_t launches() {
  return launch_count;
}

void synchronize(int index) {
  forbid_in_capture("waiting for the device");
  check(cudaStreamSynchronize(stream_of(index)), "waiting for the kernels", index);
}

std::byte* allocate(int index, std::size_t bytes) {
  stream_of(index);
  void* p = nullptr;
  const cudaError_t code = cudaMalloc(&p, bytes);
  if (code == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    return nullptr;
  }
  check(code, "cudaMalloc", index);
  return static_cast<std::byte*>(p);
}

void release(int index, std::byte* p) noexcept {
  // When the process ends, the driver may have shut down already; then there is nothing to free.
  if (active.device == index || cudaSetDevice(index) == cudaSuccess) cudaFree(p);
  if (active.device != index) active = {};
  cudaGetLastError();
}

Room room(int index) {
  stream_of(index);
  Room r;
  check(cudaMemGetInfo(&r.free, &r.total), "cudaMemGetInfo", index);
  return r;
}

// Up to 64 KiB from pageable memory travel inside the command, without a wait.
void copy_in(int index, void* to, const void* from, std::size_t bytes) {
  forbid_in_capture("an upload");
  if (bytes > std::size_t{64} << 10)
    return upload_ring(index).copy(index, static_cast<std::byte*>(to), static_cast<const std::byte*>(from),
                                   bytes);
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream_of(index)), "copy to the device",
        index);
}
void copy_out(int index, void* to, const void* from, std::size_t bytes) {
  forbid_in_capture("a read");
  const cudaStream_t s = stream_of(index);
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, s), "copy from the device", index);
  check(cudaStreamSynchronize(s), "waiting for a copy from the device", index);
}
void copy_within(int index, void* to, const void* from, std::size_t bytes) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream_of(index)), "copy on the device",
        index);
}
void fill(int index, void* to, std::uint8_t byte, std::size_t bytes) {
  check(cudaMemsetAsync(to, byte, bytes, stream_of(index)), "fill", index);
}

}  // namespace reprise::gpu
