// Pools of memory: freed blocks are kept for later tensors. Private to the engine.
#pragma once

#include <atomic>
#include <cstddef>
#include <map>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/base/memory_stats.h"

namespace reprise {

// Small freed blocks are listed by size. Larger blocks are pieces of segments: a request takes the
// smallest free piece that holds it and leaves the rest free; a freed piece merges with free
// neighbours. So tensors of different sizes can use the same memory. Steps of training repeat the
// same requests, so after the first steps the pool asks the system for nothing more.
// On a GPU all work runs in one stream, so a block can be reused before its last kernel has run.
class BlockPool {
 public:
  virtual ~BlockPool() = default;
  // Returns a block of at least `bytes`, aligned to 64 bytes, which stays valid until give().
  // Throws Error if there is too little memory.
  std::byte* take(std::size_t bytes);
  void give(std::byte* p, std::size_t bytes) noexcept;  // takes back a block; `bytes` as in take()
  void release();                                       // gives all free memory back to the system
  MemoryStats stats();
  void reset_peak();

 protected:
  // Returns whether free memory must stay in the pool now.
  virtual bool keeps() const { return false; }
  // Whether every block is a fresh allocation, dropped when it is given back.
  virtual bool exact() { return false; }
  // fresh() returns memory from the system, or null; drop() gives it back. shortage() returns the
  // message of the Error that take() throws after null.
  virtual std::byte* fresh(std::size_t bytes) = 0;
  virtual void drop(std::byte* p) noexcept = 0;
  virtual std::string shortage(std::size_t bytes, const MemoryStats& stats) = 0;

 private:
  struct Piece {
    std::size_t bytes;
    bool starts_segment, is_free;
  };
  using Pieces = std::map<std::byte*, Piece>;  // by address: a segment's pieces follow one another

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

// Returns whether REPRISE_CUDA_EXACT is set: each block of a GPU is then one allocation of exactly its
// bytes, so that compute-sanitizer sees an access past the end of a tensor.
bool exact_gpu_blocks();

// For tests: memory that ends where a page without access begins, and has another before its first page,
// so that reading or writing outside ends the process. give_fenced() takes the same number of bytes.
std::byte* take_fenced(std::size_t bytes);
void give_fenced(std::byte* p, std::size_t bytes) noexcept;

// The pools are never destroyed, as static tensors may be destroyed after any other object.
BlockPool& host_pool();
inline std::atomic<int> live_graphs{0};         // while above 0, a step pool keeps its memory
BlockPool& gpu_pool(int index, bool of_steps);  // of_steps: the pool of gpu::StepMemory
BlockPool& gpu_pool(int index);                 // the step pool while this thread has a StepMemory

}  // namespace reprise
