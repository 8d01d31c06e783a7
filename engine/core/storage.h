// Memory of tensors: from a caching pool, or sealed read-only for good.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>

#include "engine/base/export.h"
#include "engine/base/memory_stats.h"
#include "engine/core/device.h"

namespace reprise {

class REPRISE_API Storage {
 public:
  // Uninitialised memory, aligned to 64 bytes. Throws Error where there is not enough, or no such device.
  static std::shared_ptr<Storage> allocate(std::size_t bytes, Device device);
  // A copy of bytes that lie on `device`, in memory that the operating system (or the GPU's driver) then
  // makes read-only: a later write ends the process (or is a fault that ends all work on that GPU).
  static std::shared_ptr<Storage> sealed_copy(std::span<const std::byte> bytes, Device device);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  std::size_t bytes() const { return bytes_; }
  Device device() const { return device_; }
  bool is_sealed() const { return sealed_; }
  // On a GPU an address there, which the host must not follow.
  const std::byte* data() const { return data_; }
  // Throws Error if sealed. Counts as a change: the version goes up.
  std::byte* mutable_data();
  std::uint64_t version() const { return version_.load(std::memory_order_relaxed); }

  // A form computed once from sealed memory (packed, transposed, ...), itself sealed, kept as long as this
  // storage. `fill` writes all `bytes` of it, on this device. Only for sealed storage.
  const std::byte* derived(const std::string& key, std::size_t bytes,
                           const std::function<void(std::byte*)>& fill) const;
  // Hashes this memory (read back from a GPU) and every derived form again; throws Error naming one that is
  // not what was sealed.
  void verify_seal() const;
  std::size_t derived_bytes() const;

 private:
  Storage() = default;
  static std::shared_ptr<Storage> sealed_from(std::size_t bytes, Device device,
                                              const std::function<void(std::byte*)>& fill);

  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
  Device device_;
  bool sealed_ = false;
  std::atomic<std::uint64_t> version_{0};
  std::string digest_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, std::shared_ptr<Storage>> derived_;
};

// The pool of a device; all host devices share one. Freed blocks are kept for the next tensors.
REPRISE_API MemoryStats memory_stats(Device device = cpu_device);
REPRISE_API void reset_peak_memory(Device device = cpu_device);
REPRISE_API void release_cached_memory(Device device = cpu_device);

// For tests: while on, new memory is filled with 0xFF (NaN as f32 and f64) and has guard zones around it.
REPRISE_API void set_memory_debug(bool on);
// How many blocks were freed with a damaged guard zone since the process started.
REPRISE_API std::int64_t guard_violations();

}  // namespace reprise
