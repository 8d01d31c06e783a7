#include "engine/base/block_pool.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <utility>

#include "engine/base/check.h"
#include "engine/base/env.h"
#include "engine/base/gpu.h"

namespace reprise {
namespace {

constexpr std::size_t alignment = 64, page = 4096, huge_page = std::size_t{2} << 20;
// Blocks of this size and more are pieces of segments. A smaller remainder stays with its piece.
constexpr std::size_t smallest_piece = std::size_t{64} << 10;

std::size_t round_up(std::size_t n, std::size_t to) {
  return (n + to - 1) / to * to;
}

thread_local bool step_memory = false;

class HostPool : public BlockPool {
  std::byte* fresh(std::size_t bytes) override {
    const bool huge = bytes >= huge_page;
    const std::size_t unit = huge ? huge_page : alignment;
    void* p = std::aligned_alloc(unit, round_up(bytes, unit));
    if (p != nullptr && huge) madvise(p, bytes, MADV_HUGEPAGE);
    return static_cast<std::byte*>(p);
  }
  void drop(std::byte* p) noexcept override { std::free(p); }
  std::string shortage(std::size_t bytes, const MemoryStats& stats) override {
    return fmt::format(
        "memory: could not get {} MiB (in use: {} MiB); a smaller batch or smaller images need less",
        bytes >> 20, stats.in_use >> 20);
  }
};

class GpuPool : public BlockPool {
 public:
  GpuPool(int index, bool of_steps) : index_(index), of_steps_(of_steps) { gpu::require(index); }

 private:
  bool exact() override { return exact_gpu_blocks(); }
  std::byte* fresh(std::size_t bytes) override {
    std::byte* p = gpu::allocate(index_, bytes);
    if (p != nullptr || !of_steps_) return p;
    gpu_pool(index_, false).release();  // the other pool's free memory
    return gpu::allocate(index_, bytes);
  }
  void drop(std::byte* p) noexcept override { gpu::release(index_, p); }
  std::string shortage(std::size_t bytes, const MemoryStats& stats) override {
    const gpu::Room room = gpu::room(index_);
    return fmt::format(
        "cuda:{}: could not get {} MiB of device memory (in use by tensors: {} MiB, free: {} MiB of {} MiB); "
        "a smaller batch or smaller images need less",
        index_, bytes >> 20, stats.in_use >> 20, room.free >> 20, room.total >> 20);
  }
  bool keeps() const override { return of_steps_ && live_graphs > 0; }
  int index_;
  bool of_steps_;
};

}  // namespace

std::byte* BlockPool::take(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  std::byte* p = exact()                  ? from_system(bytes)
                 : bytes < smallest_piece ? take_small(bytes)
                                          : take_piece(round_up(bytes, page));
  stats_.in_use += bytes;
  stats_.peak = std::max(stats_.peak, stats_.in_use);
  return p;
}

void BlockPool::give(std::byte* p, std::size_t bytes) noexcept {
  const std::lock_guard lock(mutex_);
  stats_.in_use -= bytes;
  if (exact()) return drop(p);
  if (bytes >= smallest_piece) return give_piece(p);
  try {
    small_[bytes].push_back(p);
    stats_.cached += bytes;
  } catch (...) {
    drop(p);
  }
}

std::byte* BlockPool::from_system(std::size_t bytes) {
  std::byte* p = fresh(bytes);
  if (p == nullptr) {
    drop_all();
    p = fresh(bytes);
  }
  if (p == nullptr) throw_error("{}", shortage(bytes, stats_));
  return p;
}

std::byte* BlockPool::take_small(std::size_t bytes) {
  auto& list = small_[bytes];
  if (list.empty()) return from_system(bytes);
  std::byte* p = list.back();
  list.pop_back();
  stats_.cached -= bytes;
  return p;
}

std::byte* BlockPool::take_piece(std::size_t bytes) {
  const auto fitting = free_.lower_bound({bytes, nullptr});
  Pieces::iterator piece;
  if (fitting == free_.end()) {
    const std::size_t segment = bytes < huge_page ? bytes : round_up(bytes, huge_page);
    std::byte* p = from_system(segment);
    try {
      piece = pieces_.emplace(p, Piece{segment, true, false}).first;
    } catch (...) {
      drop(p);
      throw;
    }
  } else {
    piece = pieces_.find(fitting->second);
    mark_taken(piece);
  }
  const std::size_t rest = piece->second.bytes - bytes;
  if (rest >= smallest_piece) {
    mark_free(pieces_.emplace_hint(std::next(piece), piece->first + bytes, Piece{rest, false, false}));
    piece->second.bytes = bytes;
  }
  return piece->first;
}

void BlockPool::give_piece(std::byte* p) noexcept {
  auto piece = pieces_.find(p);
  const auto next = std::next(piece);
  if (next != pieces_.end() && !next->second.starts_segment && next->second.is_free) absorb(piece, next);
  if (!piece->second.starts_segment && std::prev(piece)->second.is_free) {
    const auto before = std::prev(piece);
    mark_taken(before);
    absorb(before, piece);
    piece = before;
  }
  mark_free(piece);
}

void BlockPool::mark_free(Pieces::iterator piece) noexcept {
  auto& [p, about] = *piece;
  try {
    free_.emplace(about.bytes, p);
  } catch (...) {
    return;  // out of memory: a piece that cannot be listed as free stays taken
  }
  about.is_free = true;
  stats_.cached += about.bytes;
}

void BlockPool::mark_taken(Pieces::iterator piece) {
  auto& [p, about] = *piece;
  free_.erase({about.bytes, p});
  about.is_free = false;
  stats_.cached -= about.bytes;
}

// Makes `next`, which follows `piece` in memory, a part of `piece`.
void BlockPool::absorb(Pieces::iterator piece, Pieces::iterator next) {
  if (next->second.is_free) mark_taken(next);
  piece->second.bytes += next->second.bytes;
  pieces_.erase(next);
}

// Gives small blocks and completely free segments back to the system.
void BlockPool::drop_all() {
  if (keeps()) return;
  for (auto& [bytes, list] : small_) {
    for (std::byte* p : list) {
      drop(p);
      stats_.cached -= bytes;
    }
    list.clear();
  }
  for (auto piece = pieces_.begin(); piece != pieces_.end();) {
    const auto next = std::next(piece);
    const bool is_whole =
        piece->second.starts_segment && (next == pieces_.end() || next->second.starts_segment);
    if (is_whole && piece->second.is_free) {
      mark_taken(piece);
      drop(piece->first);
      pieces_.erase(piece);
    }
    piece = next;
  }
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

bool exact_gpu_blocks() {
  static const bool exact = env_flag("REPRISE_CUDA_EXACT");
  return exact;
}

std::byte* take_fenced(std::size_t bytes) {
  const auto fence = static_cast<std::size_t>(sysconf(_SC_PAGESIZE)), inside = round_up(bytes, fence);
  void* p = mmap(nullptr, fence + inside + fence, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REPRISE_CHECK(
      p != MAP_FAILED && mprotect(static_cast<std::byte*>(p) + fence, inside, PROT_READ | PROT_WRITE) == 0,
      "memory: could not get {} MiB between fences", bytes >> 20);
  return static_cast<std::byte*>(p) + fence + inside - bytes;
}
void give_fenced(std::byte* p, std::size_t bytes) noexcept {
  const auto fence = static_cast<std::size_t>(sysconf(_SC_PAGESIZE)), inside = round_up(bytes, fence);
  munmap(p + bytes - inside - fence, fence + inside + fence);
}

BlockPool& host_pool() {
  static HostPool* host = new HostPool;
  return *host;
}

BlockPool& gpu_pool(int index, bool of_steps) {
  static std::mutex mutex;
  static auto* pools = new std::map<std::pair<int, bool>, GpuPool*>;
  const std::lock_guard lock(mutex);
  GpuPool*& pool = (*pools)[{index, of_steps}];
  if (pool == nullptr) pool = new GpuPool(index, of_steps);
  return *pool;
}
BlockPool& gpu_pool(int index) {
  return gpu_pool(index, step_memory);
}

bool gpu::captures_steps() {
  static const bool on = env_flag("REPRISE_GRAPH") && !exact_gpu_blocks();
  return on;
}
gpu::StepMemory::StepMemory() : before_(std::exchange(step_memory, true)) {}
gpu::StepMemory::~StepMemory() {
  step_memory = before_;
}

}  // namespace reprise
