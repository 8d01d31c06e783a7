#include "engine/core/storage.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <unordered_map>
#include <vector>

#include "engine/base/block_pool.h"
#include "engine/base/check.h"
#include "engine/base/gpu.h"
#include "engine/base/parallel.h"
#include "engine/base/sha256.h"

namespace reprise {
namespace {

constexpr std::size_t alignment = 64, guard = 256;
constexpr unsigned char guard_byte = 0xFF;  // NaN in every floating dtype

std::size_t round_up(std::size_t n, std::size_t to) {
  return (n + to - 1) / to * to;
}

// Bytes of any device.
void fill(Device device, std::byte* p, unsigned char byte, std::size_t bytes) {
  if (device.is_host())
    std::memset(p, byte, bytes);
  else
    gpu::fill(device.index, p, byte, bytes);
}
std::vector<std::byte> read_back(Device device, const std::byte* p, std::size_t bytes) {
  std::vector<std::byte> host(bytes);
  if (bytes == 0) return host;
  if (device.is_host())
    std::memcpy(host.data(), p, bytes);
  else
    gpu::copy_out(device.index, host.data(), p, bytes);
  return host;
}
bool all_guard_bytes(Device device, const std::byte* p, std::size_t bytes) {
  for (const std::byte b : read_back(device, p, bytes))
    if (b != std::byte{guard_byte}) return false;
  return true;
}

std::atomic<bool> debug_memory{false};
std::atomic<std::int64_t> violations{0};

// In debug mode a block is [guard | data | guard]; the host's have a fence on both sides. guarded() lists such
// blocks, as the mode may change while one is in use: the address of the data, and its number of bytes.
std::mutex guarded_mutex;
std::unordered_map<const std::byte*, std::size_t>& guarded() {
  static auto* m = new std::unordered_map<const std::byte*, std::size_t>;
  return *m;
}

std::size_t block_size(std::size_t bytes, Device device) {
  if (!device.is_host() && exact_gpu_blocks()) return std::max<std::size_t>(bytes, 1);
  return round_up(bytes == 0 ? 1 : bytes, bytes >= 4096 ? 4096 : alignment);
}

BlockPool& pool_of(Device device) {
  return device.is_host() ? host_pool() : gpu_pool(device.index);
}

// Returns how many guard bytes follow the data: on the host only those up to the next aligned address.
std::size_t tail_of(std::size_t bytes, Device device) {
  return round_up(bytes, alignment) - bytes + (device.is_host() ? 0 : guard);
}

std::byte* take_block(std::size_t bytes, Device device, BlockPool& pool) {
  // Guard zones would hide from compute-sanitizer what exact blocks show it.
  if (!debug_memory || (!device.is_host() && exact_gpu_blocks())) return pool.take(block_size(bytes, device));
  const std::size_t total = guard + bytes + tail_of(bytes, device);
  std::byte* p = device.is_host() ? take_fenced(total) : pool.take(block_size(total, device));
  fill(device, p, guard_byte, total);
  const std::lock_guard lock(guarded_mutex);
  guarded()[p + guard] = bytes;
  return p + guard;
}

void give_block(std::byte* p, std::size_t bytes, Device device, BlockPool& pool) noexcept {
  {
    const std::lock_guard lock(guarded_mutex);
    if (guarded().erase(p) != 0) {
      const std::size_t tail = tail_of(bytes, device), total = guard + bytes + tail;
      bool intact = false;
      try {
        intact = all_guard_bytes(device, p - guard, guard) && all_guard_bytes(device, p + bytes, tail);
      } catch (...) {  // a device that no longer answers: counted as damage
      }
      if (!intact) ++violations;
      if (device.is_host())
        give_fenced(p - guard, total);
      else
        pool.give(p - guard, block_size(total, device));
      return;
    }
  }
  pool.give(p, block_size(bytes, device));
}

std::size_t page_round(std::size_t bytes) {
  return round_up(bytes == 0 ? 1 : bytes, static_cast<std::size_t>(sysconf(_SC_PAGESIZE)));
}

// Asks for huge pages if the memory fills at least one: sealed filters are read in every step.
std::byte* map_writable(std::size_t bytes) {
  constexpr std::size_t huge = std::size_t{2} << 20;
  const std::size_t size = page_round(bytes), room = size < huge ? size : size + huge;
  void* map = mmap(nullptr, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REPRISE_CHECK(map != MAP_FAILED, "memory: could not get {} MiB for frozen weights", bytes >> 20);
  auto* p = static_cast<std::byte*>(map);
  if (room == size) return p;
  const std::size_t before = (huge - reinterpret_cast<std::uintptr_t>(p) % huge) % huge;
  if (before != 0) munmap(p, before);
  munmap(p + before + size, room - before - size);
#if defined(MADV_HUGEPAGE)
  madvise(p + before, size, MADV_HUGEPAGE);  // advice: its failure changes nothing
#endif
  return p + before;
}

void seal(std::byte* p, std::size_t bytes) {
  REPRISE_CHECK(mprotect(p, page_round(bytes), PROT_READ) == 0,
                "memory: the system refused to make weights read-only");
}

// SHA-256 over the SHA-256 of each MiB, so that all threads can take part. Used in memory only.
std::string digest_of(const std::byte* p, std::size_t bytes) {
  constexpr std::size_t part = std::size_t{1} << 20;
  std::vector<std::array<std::uint8_t, 32>> parts((bytes + part - 1) / part);
  parallel_for(static_cast<std::int64_t>(parts.size()), 1, [&](std::int64_t begin, std::int64_t end) {
    for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
      Sha256 hash;
      hash.update({p + i * part, std::min(part, bytes - i * part)});
      parts[i] = hash.digest();
    }
  });
  return sha256_hex(std::as_bytes(std::span(parts)));
}
std::string digest_of(const std::byte* p, std::size_t bytes, Device device) {
  return device.is_host() ? digest_of(p, bytes) : digest_of(read_back(device, p, bytes).data(), bytes);
}

}  // namespace

std::shared_ptr<Storage> Storage::allocate(std::size_t bytes, Device device) {
  std::shared_ptr<Storage> s(new Storage);
  s->device_ = device;
  s->pool_ = &pool_of(device);
  s->data_ = take_block(bytes, device, *s->pool_);
  s->bytes_ = bytes;
  return s;
}

std::shared_ptr<Storage> Storage::sealed_from(std::size_t bytes, Device device,
                                              const std::function<void(std::byte*)>& fill) {
  if (!device.is_host()) {
    const std::shared_ptr<Storage> made = allocate(bytes, device);
    fill(made->data_);
    return sealed_copy({made->data_, bytes}, device);
  }
  std::shared_ptr<Storage> s(new Storage);
  s->sealed_ = true;
  s->bytes_ = bytes;
  s->device_ = device;
  s->data_ = map_writable(bytes);
  fill(s->data_);
  seal(s->data_, bytes);
  s->digest_ = digest_of(s->data_, bytes);
  return s;
}

std::shared_ptr<Storage> Storage::sealed_copy(std::span<const std::byte> bytes, Device device) {
  if (device.is_host())
    return sealed_from(bytes.size(), device, [&](std::byte* to) {
      if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
    });
  std::shared_ptr<Storage> s(new Storage);
  s->sealed_ = true;
  s->bytes_ = bytes.size();
  s->device_ = device;
  s->data_ = gpu::seal(device.index, bytes.data(), bytes.size());
  s->digest_ = digest_of(s->data_, s->bytes_, device);
  return s;
}

Storage::~Storage() {
  if (data_ == nullptr) return;
  if (!sealed_) {
    give_block(data_, bytes_, device_, *pool_);
  } else if (device_.is_host()) {
    munmap(data_, page_round(bytes_));
  } else {
    gpu::release_sealed(device_.index, data_);
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
  auto kept = derived_.find(key);
  if (kept == derived_.end()) kept = derived_.emplace(key, sealed_from(bytes, device_, fill)).first;
  return kept->second->data_;
}

void Storage::verify_seal() const {
  if (!sealed_) return;
  const std::lock_guard lock(mutex_);
  const auto intact = [](const Storage& s) { return digest_of(s.data_, s.bytes_, s.device_) == s.digest_; };
  REPRISE_CHECK(intact(*this), "backbone: frozen weights have changed since they were loaded");
  for (const auto& [key, form] : derived_)
    REPRISE_CHECK(intact(*form),
                  "backbone: the derived form '{}' of frozen weights has changed since it was made", key);
}

std::size_t Storage::derived_bytes() const {
  const std::lock_guard lock(mutex_);
  std::size_t total = 0;
  for (const auto& [key, form] : derived_) total += form->bytes_;
  return total;
}

MemoryStats memory_stats(Device device) {
  if (device.is_host()) return host_pool().stats();
  MemoryStats sum = gpu_pool(device.index, false).stats();
  const MemoryStats steps = gpu_pool(device.index, true).stats();
  sum.in_use += steps.in_use, sum.peak += steps.peak, sum.cached += steps.cached;
  return sum;
}
void reset_peak_memory(Device device) {
  if (device.is_host()) return host_pool().reset_peak();
  gpu_pool(device.index, false).reset_peak();
  gpu_pool(device.index, true).reset_peak();
}
void release_cached_memory(Device device) {
  if (device.is_host()) return host_pool().release();
  gpu_pool(device.index, false).release();
  gpu_pool(device.index, true).release();
}
void set_memory_debug(bool on) {
  debug_memory = on;
}
std::int64_t guard_violations() {
  return violations;
}

}  // namespace reprise
