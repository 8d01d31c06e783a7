// Freed memory, kept for the next tensor. Private to the engine.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/base/memory_stats.h"

namespace reprise {

// Small blocks are kept by their size. Others are pieces of segments: a request gets the smallest free piece
// that holds it, of which it leaves the rest, and a freed piece grows together with free neighbours. So
// memory of one layer serves the next one, whatever their shapes. Requests repeat from step to step, so after
// the first ones nothing is asked of the system and no page is touched for the first time. On a GPU all work
// runs in one stream, so a block may be given again before its last kernel ran.
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
  struct Piece {
    std::size_t bytes;
    bool starts_segment, is_free;
  };
  using Pieces = std::map<std::byte*, Piece>;  // each segment's lie side by side

  std::byte* take_small(std::size_t bytes);
  std::byte* take_piece(std::size_t bytes);
  void give_piece(std::byte* p) noexcept;
  std::byte* from_system(std::size_t bytes);
  void mark_free(Pieces::iterator piece) noexcept;
  void mark_taken(Pieces::iterator piece);
  void absorb(Pieces::iterator piece, Pieces::iterator next);
  void drop_all();

  std::mutex mutex_;
  std::unordered_map<std::size_t, std::vector<std::byte*>> small_;
  Pieces pieces_;
  std::set<std::pair<std::size_t, std::byte*>> free_;  // pieces, the smallest first
  MemoryStats stats_;
};

// The pools are never destroyed: tensors of static life may outlast any order of destruction.
BlockPool& host_pool();
BlockPool& gpu_pool(int index);

}  // namespace reprise
