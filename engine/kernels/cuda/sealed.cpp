// Frozen weights in memory that kernels can only read. A chunk of physical memory is mapped
// read-only for as long as it lives, and mapped writable at a second address only while data
// is copied in. Many tensors share a chunk, because the driver allocates in units of 2 MiB.
#include <cuda.h>
#include <cudaTypedefs.h>
#include <cuda_runtime_api.h>

#include <algorithm>
#include <list>
#include <map>
#include <mutex>

#include "engine/base/check.h"
#include "engine/base/gpu.h"
#include "engine/base/log.h"
#include "engine/kernels/cuda/runtime.h"

namespace reprise::kernels::cuda {
namespace {

constexpr std::size_t usual_chunk = std::size_t{32} << 20, block_unit = 512;

std::size_t round_up(std::size_t n, std::size_t to) {
  return (n + to - 1) / to * to;
}

// Looks up a driver function at run time, because the program must also start without a driver.
template <class F>
F driver_function(const char* name) {
  void* f = nullptr;
  cudaDriverEntryPointQueryResult found = cudaDriverEntryPointSymbolNotFound;
#if CUDART_VERSION >= 12050
  const cudaError_t code = cudaGetDriverEntryPointByVersion(name, &f, 11000, cudaEnableDefault, &found);
#else
  const cudaError_t code = cudaGetDriverEntryPoint(name, &f, cudaEnableDefault, &found);
#endif
  REPRISE_CHECK(code == cudaSuccess && found == cudaDriverEntryPointSuccess && f != nullptr,
                "cuda: the driver has no {}; a newer driver is needed", name);
  return reinterpret_cast<F>(f);
}

struct Driver {
  PFN_cuGetErrorString_v6000 error_string = driver_function<PFN_cuGetErrorString_v6000>("cuGetErrorString");
  PFN_cuMemGetAllocationGranularity_v10020 granularity =
      driver_function<PFN_cuMemGetAllocationGranularity_v10020>("cuMemGetAllocationGranularity");
  PFN_cuMemCreate_v10020 create = driver_function<PFN_cuMemCreate_v10020>("cuMemCreate");
  PFN_cuMemRelease_v10020 release = driver_function<PFN_cuMemRelease_v10020>("cuMemRelease");
  PFN_cuMemAddressReserve_v10020 reserve =
      driver_function<PFN_cuMemAddressReserve_v10020>("cuMemAddressReserve");
  PFN_cuMemAddressFree_v10020 free_address = driver_function<PFN_cuMemAddressFree_v10020>("cuMemAddressFree");
  PFN_cuMemMap_v10020 map = driver_function<PFN_cuMemMap_v10020>("cuMemMap");
  PFN_cuMemUnmap_v10020 unmap = driver_function<PFN_cuMemUnmap_v10020>("cuMemUnmap");
  PFN_cuMemSetAccess_v10020 set_access = driver_function<PFN_cuMemSetAccess_v10020>("cuMemSetAccess");
};
const Driver& driver() {
  static const Driver* d = new Driver;
  return *d;
}

void check(CUresult code, const char* what, int index) {
  if (code == CUDA_SUCCESS) return;
  const char* text = nullptr;
  driver().error_string(code, &text);
  throw_error("cuda:{}: frozen weights could not be sealed: {}: {}", index, what,
              text == nullptr ? "unknown error" : text);
}

// One mapping of a chunk. The destructor unmaps it.
class Mapping {
 public:
  Mapping(int index, CUmemGenericAllocationHandle handle, std::size_t bytes, CUmemAccess_flags access)
      : bytes_(bytes) {
    check(driver().reserve(&at_, bytes, 0, 0, 0), "cuMemAddressReserve", index);
    CUmemAccessDesc allowed{};
    allowed.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
    allowed.location.id = index;
    allowed.flags = access;
    CUresult code = driver().map(at_, bytes, 0, handle, 0);
    const bool mapped = code == CUDA_SUCCESS;
    if (mapped) code = driver().set_access(at_, bytes, &allowed, 1);
    if (mapped && code != CUDA_SUCCESS && access == CU_MEM_ACCESS_FLAGS_PROT_READ) {
      static std::once_flag told;
      std::call_once(told, [] {
        log_warning(
            "cuda: this driver cannot make device memory read-only; only their digests guard the frozen "
            "weights");
      });
      allowed.flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
      code = driver().set_access(at_, bytes, &allowed, 1);
    }
    if (code == CUDA_SUCCESS) return;
    if (mapped) driver().unmap(at_, bytes);
    driver().free_address(at_, bytes);
    check(code, mapped ? "cuMemSetAccess" : "cuMemMap", index);
  }
  ~Mapping() {
    driver().unmap(at_, bytes_);
    driver().free_address(at_, bytes_);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  std::byte* data() const { return reinterpret_cast<std::byte*>(at_); }  // NOLINT: the driver's address type

 private:
  CUdeviceptr at_ = 0;
  std::size_t bytes_;
};

class PhysicalMemory {
 public:
  PhysicalMemory(int index, std::size_t at_least) {
    CUmemAllocationProp kind{};
    kind.type = CU_MEM_ALLOCATION_TYPE_PINNED;
    kind.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
    kind.location.id = index;
    std::size_t unit = 0;
    check(driver().granularity(&unit, &kind, CU_MEM_ALLOC_GRANULARITY_MINIMUM),
          "cuMemGetAllocationGranularity", index);
    bytes = round_up(at_least, unit);
    const CUresult code = driver().create(&handle, bytes, &kind, 0);
    REPRISE_CHECK(code != CUDA_ERROR_OUT_OF_MEMORY,
                  "cuda:{}: not enough device memory for the frozen weights: {} MiB more were needed", index,
                  bytes >> 20);
    check(code, "cuMemCreate", index);
  }
  ~PhysicalMemory() { driver().release(handle); }
  PhysicalMemory(const PhysicalMemory&) = delete;
  PhysicalMemory& operator=(const PhysicalMemory&) = delete;

  CUmemGenericAllocationHandle handle{};
  std::size_t bytes = 0;
};

struct Chunk {
  Chunk(int index, std::size_t at_least)
      : memory(index, at_least),
        readable(index, memory.handle, memory.bytes, CU_MEM_ACCESS_FLAGS_PROT_READ) {}
  PhysicalMemory memory;
  Mapping readable;
  std::size_t used = 0;
  int live = 0;  // the number of blocks in use
};

// The sealed memory of one device, thread-safe.
class Arena {
 public:
  explicit Arena(int index) : index_(index) {}

  std::byte* seal(const void* from, std::size_t bytes) {
    const std::size_t needed = round_up(std::max<std::size_t>(bytes, 1), block_unit);
    const std::lock_guard lock(mutex_);
    if (chunks_.empty() || chunks_.back().memory.bytes - chunks_.back().used < needed)
      chunks_.emplace_back(index_, std::max(usual_chunk, needed));
    Chunk& chunk = chunks_.back();
    if (bytes != 0) {
      const Mapping writable(index_, chunk.memory.handle, chunk.memory.bytes,
                             CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
      gpu::copy_within(index_, writable.data() + chunk.used, from, bytes);
      gpu::synchronize(index_);
    }
    std::byte* block = chunk.readable.data() + chunk.used;
    owner_[block] = &chunk;
    chunk.used += needed;
    ++chunk.live;
    return block;
  }

  void release(std::byte* block) noexcept {
    const std::lock_guard lock(mutex_);
    const auto found = owner_.find(block);
    if (found == owner_.end()) return;
    Chunk* chunk = found->second;
    owner_.erase(found);
    if (--chunk->live > 0) return;
    cudaStreamSynchronize(stream_of_device());  // a kernel may still read the chunk
    chunks_.remove_if([&](const Chunk& c) { return &c == chunk; });
  }

 private:
  cudaStream_t stream_of_device() const noexcept {
    try {
      gpu::select(index_);
      return stream();
    } catch (...) {
      return nullptr;
    }
  }

  int index_;
  std::mutex mutex_;
  std::list<Chunk> chunks_;
  std::map<std::byte*, Chunk*> owner_;
};

Arena& arena_of(int index) {
  static std::mutex mutex;
  static auto* arenas = new std::map<int, Arena*>;
  const std::lock_guard lock(mutex);
  Arena*& arena = (*arenas)[index];
  if (arena == nullptr) arena = new Arena(index);
  return *arena;
}

}  // namespace
}  // namespace reprise::kernels::cuda

namespace reprise::gpu {

std::byte* seal(int index, const void* from, std::size_t bytes) {
  require(index);
  return kernels::cuda::arena_of(index).seal(from, bytes);
}
void release_sealed(int index, std::byte* p) noexcept {
  kernels::cuda::arena_of(index).release(p);
}

}  // namespace reprise::gpu
