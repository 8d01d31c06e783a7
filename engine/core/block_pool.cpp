#include "engine/core/block_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>

#include "engine/core/check.h"
#include "engine/core/gpu.h"

namespace reprise {
namespace {

constexpr std::size_t alignment = 64, huge_page = std::size_t{2} << 20;

class HostPool : public BlockPool {
  std::byte* fresh(std::size_t bytes) override {
    const bool huge = bytes >= huge_page;
    const std::size_t unit = huge ? huge_page : alignment;
    void* p = std::aligned_alloc(unit, (bytes + unit - 1) / unit * unit);
    if (p != nullptr && huge) madvise(p, bytes, MADV_HUGEPAGE);
    return static_cast<std::byte*>(p);
  }
  void drop(std::byte* p) noexcept override { std::free(p); }
  std::string shortage(std::size_t bytes, const MemoryStats& stats) override {
    return fmt::format(
        "memory: could not get {} MiB (in use: {} MiB); a smaller --batch or --size needs less", bytes >> 20,
        stats.in_use >> 20);
  }
};

class GpuPool : public BlockPool {
 public:
  explicit GpuPool(int index) : index_(index) { gpu::require(index); }

 private:
  std::byte* fresh(std::size_t bytes) override { return gpu::allocate(index_, bytes); }
  void drop(std::byte* p) noexcept override { gpu::release(index_, p); }
  std::string shortage(std::size_t bytes, const MemoryStats& stats) override {
    const gpu::Room room = gpu::room(index_);
    return fmt::format(
        "cuda:{}: could not get {} MiB of device memory (in use by tensors: {} MiB, free: {} MiB of {} MiB); "
        "a smaller --batch or --size needs less",
        index_, bytes >> 20, stats.in_use >> 20, room.free >> 20, room.total >> 20);
  }
  int index_;
};

}  // namespace

std::byte* BlockPool::take(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  auto& list = free_[bytes];
  std::byte* p = nullptr;
  if (!list.empty()) {
    p = list.back();
    list.pop_back();
    stats_.cached -= bytes;
  } else {
    p = fresh(bytes);
    if (p == nullptr) {
      drop_all();
      p = fresh(bytes);
    }
    if (p == nullptr) throw_error("{}", shortage(bytes, stats_));
  }
  stats_.in_use += bytes;
  stats_.peak = std::max(stats_.peak, stats_.in_use);
  return p;
}

void BlockPool::give(std::byte* p, std::size_t bytes) noexcept {
  const std::lock_guard lock(mutex_);
  stats_.in_use -= bytes;
  try {
    free_[bytes].push_back(p);
    stats_.cached += bytes;
  } catch (...) {
    drop(p);
  }
}

void BlockPool::drop_all() {
  for (auto& [bytes, list] : free_) {
    for (std::byte* p : list) drop(p);
    list.clear();
  }
  stats_.cached = 0;
}

void BlockPool::release() {
  const std::lock_guard lock(mutex_);
  drop_all();
}
MemoryStats BlockPool::stats() {
  const std::lock_guard lock(mutex_);
  return stats_;
}
void BlockPool::reset_peak() {
  const std::lock_guard lock(mutex_);
  stats_.peak = stats_.in_use;
}

BlockPool& pool_of(Device device) {
  static HostPool* host = new HostPool;
  if (device.is_host()) return *host;
  static std::mutex mutex;
  static auto* pools = new std::map<int, GpuPool*>;
  const std::lock_guard lock(mutex);
  GpuPool*& pool = (*pools)[device.index];
  if (pool == nullptr) pool = new GpuPool(device.index);
  return *pool;
}

}  // namespace reprise
