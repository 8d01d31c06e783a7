// The memory of tensors: from a caching pool, or sealed (read-only until it is freed).
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

class BlockPool;

class REPRISE_API Storage {
 public:
  // Returns uninitialised memory, aligned to 64 bytes. The destructor gives it back to the pool.
  // Throws Error if the device has too little memory or does not exist.
  static std::shared_ptr<Storage> allocate(std::size_t bytes, Device device);
  // Copies `bytes`, which lie on `device`, into memory that the system or the driver then makes
  // read-only. A later write ends the process; on a GPU it is a fault that ends all work there.
  static std::shared_ptr<Storage> sealed_copy(std::span<const std::byte> bytes, Device device);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  std::size_t bytes() const { return bytes_; }
  Device device() const { return device_; }
  bool is_sealed() const { return sealed_; }
  // Valid as long as this storage lives. The host must not follow a GPU's address.
  const std::byte* data() const { return data_; }
  // Returns the memory for writing and increments the version. Throws Error if sealed.
  std::byte* mutable_data();
  std::uint64_t version() const { return version_.load(std::memory_order_relaxed); }

  // Returns a form derived from this sealed memory (packed, transposed, …). The form lives as long
  // as this storage. The first call with a key lets `fill` write all `bytes` of new memory on the
  // same device, then seals it. Later calls return that memory. Throws InternalError if unsealed.
  const std::byte* derived(const std::string& key, std::size_t bytes,
                           const std::function<void(std::byte*)>& fill) const;
  // Hashes this memory and every derived form again. Throws Error, naming the form, if one has
  // changed since it was sealed. Does nothing for unsealed memory.
  void verify_seal() const;
  std::size_t derived_bytes() const;  // of all derived forms together

 private:
  Storage() = default;
  static std::shared_ptr<Storage> sealed_from(std::size_t bytes, Device device,
                                              const std::function<void(std::byte*)>& fill);

  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
  BlockPool* pool_ = nullptr;  // where the memory came from; null if sealed
  Device device_;
  bool sealed_ = false;
  std::atomic<std::uint64_t> version_{0};
  std::string digest_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, std::shared_ptr<Storage>> derived_;
};

// The pool of a device keeps freed blocks for later tensors; ref and cpu share one pool. A GPU's
// numbers are those of both of its pools together.
REPRISE_API MemoryStats memory_stats(Device device = cpu_device);
REPRISE_API void reset_peak_memory(Device device = cpu_device);      // peak = in use
REPRISE_API void release_cached_memory(Device device = cpu_device);  // to the system

// For tests: new memory is filled with 0xFF (NaN in every floating dtype) and has guard zones, which are NaN, too.
// Reading past those on the host ends the process.
REPRISE_API void set_memory_debug(bool on);
// Returns how many blocks were freed with a damaged guard zone since the process started.
REPRISE_API std::int64_t guard_violations();

}  // namespace reprise
