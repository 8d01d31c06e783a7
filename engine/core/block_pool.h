// Freed blocks by size, kept for the next tensor of the same size. Private to the engine.
#pragma once

#include <cstddef>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "engine/core/storage.h"

namespace reprise {

// Sizes repeat from step to step, so after the first step nothing is asked of the system and no page is
// touched for the first time. On a GPU all work runs in one stream, so a block may be given again before its
// last kernel ran.
class BlockPool {
 public:
  virtual ~BlockPool() = default;
  // Throws Error where there is not enough memory.
  std::byte* take(std::size_t bytes);
  void give(std::byte* p, std::size_t bytes) noexcept;
  void release();
  MemoryStats stats();
  void reset_peak();

 protected:
  // Memory from the system, null where there is none; and the Error's text for that case.
  virtual std::byte* fresh(std::size_t bytes) = 0;
  virtual void drop(std::byte* p) noexcept = 0;
  virtual std::string shortage(std::size_t bytes, const MemoryStats& stats) = 0;

 private:
  void drop_all();

  std::mutex mutex_;
  std::unordered_map<std::size_t, std::vector<std::byte*>> free_;
  MemoryStats stats_;
};

// The pool of a device, never destroyed: tensors of static life may outlast any order of destruction.
BlockPool& pool_of(Device device);

}  // namespace reprise
