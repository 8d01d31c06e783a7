// Emulated devices. Their memory is one range, which is accessible only while a DeviceAccess lives.
#include <cuda.h>
#include <cuda_runtime_api.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>

#include "tests/emulation/graph.h"
#include "tests/emulation/launch.h"

namespace reprise::emulation {
namespace {

constexpr std::size_t page = 4096, huge_page = std::size_t{2} << 20, arena_bytes = std::size_t{8} << 30,
                      sealed_unit = huge_page;

struct Memory {
  std::mutex mutex;
  char* arena = nullptr;
  std::size_t used = 0, in_use = 0;        // the arena's bytes that DeviceAccess opens; those in blocks
  std::map<char*, std::size_t> taken;      // blocks in use, with sizes
  std::multimap<std::size_t, char*> free;  // freed blocks, by size
  struct Mapping {
    std::size_t bytes;
    int protection;
  };
  std::map<char*, Mapping> mappings;  // mappings of virtual memory
  int open = 0;
};
Memory& memory() {
  static Memory* m = new Memory;
  return *m;
}

void protect(Memory& m, bool open) {
  // Whole huge pages: each page costs time.
  if (m.used != 0)
    mprotect(m.arena, (m.used + huge_page - 1) / huge_page * huge_page,
             open ? PROT_READ | PROT_WRITE : PROT_NONE);
  for (auto& [at, mapping] : m.mappings) mprotect(at, mapping.bytes, open ? mapping.protection : PROT_NONE);
}

thread_local cudaError_t last_error = cudaSuccess;
cudaError_t result(cudaError_t code) {
  if (code != cudaSuccess) last_error = code;
  return code;
}

int device_count() {
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  return visible != nullptr && (*visible == '\0' || std::string(visible) == "-1") ? 0 : 2;
}

CUresult error_string(CUresult code, const char** text) {
  *text = code == CUDA_ERROR_OUT_OF_MEMORY ? "out of memory" : "invalid value";
  return CUDA_SUCCESS;
}
CUresult granularity(std::size_t* unit, const CUmemAllocationProp*, CUmemAllocationGranularity_flags) {
  *unit = sealed_unit;
  return CUDA_SUCCESS;
}
CUresult create(CUmemGenericAllocationHandle* handle, std::size_t bytes, const CUmemAllocationProp*,
                unsigned long long) {
  if (bytes % sealed_unit != 0) return CUDA_ERROR_INVALID_VALUE;
  const int file = memfd_create("device", MFD_CLOEXEC);
  if (file < 0 || ftruncate(file, static_cast<off_t>(bytes)) != 0) return CUDA_ERROR_OUT_OF_MEMORY;
  *handle = static_cast<unsigned long long>(file);
  return CUDA_SUCCESS;
}
CUresult release(CUmemGenericAllocationHandle handle) {
  close(static_cast<int>(handle));
  return CUDA_SUCCESS;
}
CUresult reserve(CUdeviceptr* at, std::size_t bytes, std::size_t, CUdeviceptr, unsigned long long) {
  void* p = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return CUDA_ERROR_OUT_OF_MEMORY;
  *at = reinterpret_cast<CUdeviceptr>(p);
  return CUDA_SUCCESS;
}
CUresult free_address(CUdeviceptr at, std::size_t bytes) {
  munmap(reinterpret_cast<void*>(at), bytes);
  return CUDA_SUCCESS;
}
CUresult map(CUdeviceptr at, std::size_t bytes, std::size_t offset, CUmemGenericAllocationHandle handle,
             unsigned long long) {
  void* p = mmap(reinterpret_cast<void*>(at), bytes, PROT_NONE, MAP_SHARED | MAP_FIXED,
                 static_cast<int>(handle), static_cast<off_t>(offset));
  return p == MAP_FAILED ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}
CUresult unmap(CUdeviceptr at, std::size_t bytes) {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  m.mappings.erase(reinterpret_cast<char*>(at));
  mmap(reinterpret_cast<void*>(at), bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE,
       -1, 0);
  return CUDA_SUCCESS;
}
CUresult set_access(CUdeviceptr at, std::size_t bytes, const CUmemAccessDesc* allowed, std::size_t) {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  m.mappings[reinterpret_cast<char*>(at)] = {
      bytes, allowed->flags == CU_MEM_ACCESS_FLAGS_PROT_READ ? PROT_READ : PROT_READ | PROT_WRITE};
  return CUDA_SUCCESS;
}

template <class F>
void* address(F* function) {
  return reinterpret_cast<void*>(function);
}

}  // namespace

DeviceAccess::DeviceAccess() {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  if (m.open++ == 0) protect(m, true);
}
DeviceAccess::~DeviceAccess() {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  if (--m.open == 0) protect(m, false);
}

}  // namespace reprise::emulation

using namespace reprise::emulation;

cudaError_t cudaGetDeviceCount(int* count) {
  *count = device_count();
  return result(*count == 0 ? cudaErrorNoDevice : cudaSuccess);
}
cudaError_t cudaSetDevice(int device) {
  return result(device >= 0 && device < device_count() ? cudaSuccess : cudaErrorInvalidDevice);
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int) {
  std::strcpy(p->name, "emulated on the host");
  p->major = 9;
  p->minor = 0;
  p->totalGlobalMem = arena_bytes;
  return cudaSuccess;
}
cudaError_t cudaGetLastError() {
  const cudaError_t code = last_error;
  last_error = cudaSuccess;
  return code;
}
const char* cudaGetErrorString(cudaError_t code) {
  return code == cudaErrorNoDevice ? "no CUDA-capable device is detected" : "error";
}
const char* cudaGetErrorName(cudaError_t code) {
  return code == cudaErrorNoDevice ? "cudaErrorNoDevice" : "cudaError";
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new CUstream_st;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t) {
  return result(breaks_capture() ? cudaErrorStreamCaptureUnsupported : cudaSuccess);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t) {
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t) {
  return cudaSuccess;
}
cudaError_t cudaHostAlloc(void** p, std::size_t bytes, unsigned) {
  *p = std::malloc(bytes);
  return result(*p == nullptr ? cudaErrorMemoryAllocation : cudaSuccess);
}

cudaError_t cudaMalloc(void** p, std::size_t bytes) {
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  if (bytes > arena_bytes) return result(cudaErrorMemoryAllocation);
  const std::size_t size = (bytes + page - 1) / page * page;
  char* block = nullptr;
  if (const auto found = m.free.find(size); found != m.free.end()) {
    block = found->second;
    m.free.erase(found);
  } else {
    if (m.arena == nullptr) {
      char* mapped = static_cast<char*>(mmap(nullptr, arena_bytes + huge_page, PROT_NONE,
                                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
      m.arena = mapped + (huge_page - reinterpret_cast<std::uintptr_t>(mapped) % huge_page) % huge_page;
      madvise(m.arena, arena_bytes, MADV_HUGEPAGE);
    }
    if (size > arena_bytes - m.used) return result(cudaErrorMemoryAllocation);
    block = m.arena + m.used;
    m.used += size;
    if (m.open != 0) protect(m, true);
  }
  m.taken[block] = size;
  m.in_use += size;
  *p = block;
  return cudaSuccess;
}
cudaError_t cudaFree(void* p) {
  if (breaks_capture()) return result(cudaErrorStreamCaptureUnsupported);
  Memory& m = memory();
  const std::lock_guard lock(m.mutex);
  const auto found = m.taken.find(static_cast<char*>(p));
  if (found == m.taken.end()) return result(cudaErrorInvalidValue);
  m.in_use -= found->second;
  m.free.emplace(found->second, found->first);
  m.taken.erase(found);
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  *free = arena_bytes - memory().in_use;
  *total = arena_bytes;
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  if (captured([=] { cudaMemcpyAsync(to, from, bytes, kind, stream); })) return cudaSuccess;
  const DeviceAccess access;
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* to, int byte, std::size_t bytes, cudaStream_t stream) {
  if (captured([=] { cudaMemsetAsync(to, byte, bytes, stream); })) return cudaSuccess;
  const DeviceAccess access;
  std::memset(to, byte, bytes);
  return cudaSuccess;
}

cudaError_t cudaGetDriverEntryPointByVersion(const char* symbol, void** function, unsigned,
                                             unsigned long long, cudaDriverEntryPointQueryResult* found) {
  static const std::map<std::string, void*> functions{{"cuGetErrorString", address(error_string)},
                                                      {"cuMemGetAllocationGranularity", address(granularity)},
                                                      {"cuMemCreate", address(create)},
                                                      {"cuMemRelease", address(release)},
                                                      {"cuMemAddressReserve", address(reserve)},
                                                      {"cuMemAddressFree", address(free_address)},
                                                      {"cuMemMap", address(map)},
                                                      {"cuMemUnmap", address(unmap)},
                                                      {"cuMemSetAccess", address(set_access)}};
  const auto it = functions.find(symbol);
  *found = it == functions.end() ? cudaDriverEntryPointSymbolNotFound : cudaDriverEntryPointSuccess;
  *function = it == functions.end() ? nullptr : it->second;
  return cudaSuccess;
}
