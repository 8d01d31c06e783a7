// What a memory pool has given out and holds.
#pragma once

#include <cstddef>

namespace reprise {

// In bytes: given to tensors now, the most that was, and freed but kept for the next tensor.
struct MemoryStats {
  std::size_t in_use = 0, peak = 0, cached = 0;
};

}  // namespace reprise
