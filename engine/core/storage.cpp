#include "engine/core/storage.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <unordered_map>
#include <vector>

#include "engine/core/check.h"
#include "engine/core/sha256.h"

namespace reprise {
namespace {

constexpr std::size_t alignment = 64, guard = 256, huge_page = std::size_t{2} << 20;
constexpr unsigned char guard_byte = 0xA5;

std::size_t round_up(std::size_t n, std::size_t to) {
  return (n + to - 1) / to * to;
}

// Freed blocks by size. Sizes repeat from step to step, so after the first step nothing is asked of the
// system and no page is touched for the first time.
class HostPool {
 public:
  std::byte* take(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    auto& list = free_[bytes];
    std::byte* p = nullptr;
    if (!list.empty()) {
      p = list.back();
      list.pop_back();
      stats_.cached -= bytes;
    } else {
      p = fresh(bytes);
    }
    stats_.in_use += bytes;
    stats_.peak = std::max(stats_.peak, stats_.in_use);
    return p;
  }
  void give(std::byte* p, std::size_t bytes) noexcept {
    const std::lock_guard lock(mutex_);
    stats_.in_use -= bytes;
    try {
      free_[bytes].push_back(p);
      stats_.cached += bytes;
    } catch (...) {
      std::free(p);
    }
  }
  void release() {
    const std::lock_guard lock(mutex_);
    for (auto& [bytes, list] : free_)
      for (std::byte* p : list) std::free(p);
    free_.clear();
    stats_.cached = 0;
  }
  MemoryStats stats() {
    const std::lock_guard lock(mutex_);
    return stats_;
  }
  void reset_peak() {
    const std::lock_guard lock(mutex_);
    stats_.peak = stats_.in_use;
  }

 private:
  std::byte* fresh(std::size_t bytes) {
    const bool huge = bytes >= huge_page;
    void* p = std::aligned_alloc(huge ? huge_page : alignment, round_up(bytes, huge ? huge_page : alignment));
    if (p == nullptr) {
      for (auto& [size, list] : free_) {
        for (std::byte* q : list) std::free(q);
        stats_.cached -= size * list.size();
        list.clear();
      }
      p = std::aligned_alloc(huge ? huge_page : alignment, round_up(bytes, huge ? huge_page : alignment));
    }
    REPRISE_CHECK(p != nullptr,
                  "memory: could not get {} MiB (in use: {} MiB); a smaller --batch or --size needs less",
                  bytes >> 20, stats_.in_use >> 20);
    if (huge) madvise(p, bytes, MADV_HUGEPAGE);
    return static_cast<std::byte*>(p);
  }

  std::mutex mutex_;
  std::unordered_map<std::size_t, std::vector<std::byte*>> free_;
  MemoryStats stats_;
};

// Never destroyed: tensors of static life may outlast any order of destruction.
HostPool& pool() {
  static HostPool* p = new HostPool;
  return *p;
}

std::atomic<bool> debug_memory{false};
std::atomic<std::int64_t> violations{0};

// In debug mode a block is [guard | data | guard]; whether it is one is written in its owner's map.
std::mutex guarded_mutex;
std::unordered_map<const std::byte*, std::size_t>& guarded() {
  static auto* m = new std::unordered_map<const std::byte*, std::size_t>;
  return *m;
}

std::size_t block_size(std::size_t bytes) {
  return round_up(bytes == 0 ? 1 : bytes, bytes >= 4096 ? 4096 : alignment);
}

std::byte* take_block(std::size_t bytes) {
  if (!debug_memory) return pool().take(block_size(bytes));
  const std::size_t tail = round_up(bytes, alignment) - bytes + guard;
  std::byte* p = pool().take(block_size(bytes + 2 * guard + alignment));
  std::memset(p, guard_byte, guard);
  std::memset(p + guard, 0xFF, bytes);
  std::memset(p + guard + bytes, guard_byte, tail);
  const std::lock_guard lock(guarded_mutex);
  guarded()[p + guard] = bytes;
  return p + guard;
}

void give_block(std::byte* p, std::size_t bytes) noexcept {
  {
    const std::lock_guard lock(guarded_mutex);
    if (guarded().erase(p) != 0) {
      const std::size_t tail = round_up(bytes, alignment) - bytes + guard;
      bool intact = true;
      for (std::size_t i = 0; i < guard; ++i) intact &= p[i - guard] == std::byte{guard_byte};
      for (std::size_t i = 0; i < tail; ++i) intact &= p[bytes + i] == std::byte{guard_byte};
      if (!intact) ++violations;
      pool().give(p - guard, block_size(bytes + 2 * guard + alignment));
      return;
    }
  }
  pool().give(p, block_size(bytes));
}

std::size_t page_round(std::size_t bytes) {
  return round_up(bytes == 0 ? 1 : bytes, static_cast<std::size_t>(sysconf(_SC_PAGESIZE)));
}

std::byte* map_writable(std::size_t bytes) {
  void* p = mmap(nullptr, page_round(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REPRISE_CHECK(p != MAP_FAILED, "memory: could not get {} MiB for frozen weights", bytes >> 20);
  return static_cast<std::byte*>(p);
}

void seal(std::byte* p, std::size_t bytes) {
  REPRISE_CHECK(mprotect(p, page_round(bytes), PROT_READ) == 0,
                "memory: the system refused to make weights read-only");
}

}  // namespace

std::shared_ptr<Storage> Storage::allocate(std::size_t bytes, Device device) {
  REPRISE_CHECK(device.is_host(), "{}: this build has no memory on that device", to_string(device));
  std::shared_ptr<Storage> s(new Storage);
  s->data_ = take_block(bytes);
  s->bytes_ = bytes;
  s->device_ = device;
  return s;
}

std::shared_ptr<Storage> Storage::sealed_copy(std::span<const std::byte> bytes, Device device) {
  REPRISE_CHECK(device.is_host(), "{}: this build has no memory on that device", to_string(device));
  std::shared_ptr<Storage> s(new Storage);
  s->sealed_ = true;
  s->bytes_ = bytes.size();
  s->device_ = device;
  s->data_ = map_writable(bytes.size());
  if (!bytes.empty()) std::memcpy(s->data_, bytes.data(), bytes.size());
  seal(s->data_, bytes.size());
  s->digest_ = sha256_hex(bytes);
  return s;
}

Storage::~Storage() {
  if (data_ == nullptr) return;
  if (sealed_) {
    munmap(data_, page_round(bytes_));
    for (auto& [key, d] : derived_) munmap(d.data, page_round(d.bytes));
  } else {
    give_block(data_, bytes_);
  }
}

std::byte* Storage::mutable_data() {
  REPRISE_CHECK(!sealed_, "tensor: these weights are sealed (frozen for good) and cannot be written");
  version_.fetch_add(1, std::memory_order_relaxed);
  return data_;
}

const std::byte* Storage::derived(const std::string& key, std::size_t bytes,
                                  const std::function<void(std::byte*)>& fill) const {
  REPRISE_INVARIANT(sealed_, "a derived form '{}' of memory that is not sealed", key);
  const std::lock_guard lock(mutex_);
  if (const auto it = derived_.find(key); it != derived_.end()) return it->second.data;
  std::byte* p = map_writable(bytes);
  fill(p);
  seal(p, bytes);
  derived_[key] = {p, bytes, sha256_hex({p, bytes})};
  return p;
}

void Storage::verify_seal() const {
  if (!sealed_) return;
  const std::lock_guard lock(mutex_);
  REPRISE_CHECK(sha256_hex({data_, bytes_}) == digest_,
                "backbone: frozen weights are no longer what was loaded");
  for (const auto& [key, d] : derived_)
    REPRISE_CHECK(sha256_hex({d.data, d.bytes}) == d.digest,
                  "backbone: the derived form '{}' of frozen weights is no longer what was made", key);
}

std::size_t Storage::derived_bytes() const {
  const std::lock_guard lock(mutex_);
  std::size_t total = 0;
  for (const auto& [key, d] : derived_) total += d.bytes;
  return total;
}

MemoryStats memory_stats() {
  return pool().stats();
}
void reset_peak_memory() {
  pool().reset_peak();
}
void release_cached_memory() {
  pool().release();
}
void set_memory_debug(bool on) {
  debug_memory = on;
}
std::int64_t guard_violations() {
  return violations;
}

}  // namespace reprise
