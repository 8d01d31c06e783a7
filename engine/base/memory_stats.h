// The state of a memory pool.
#pragma once

#include <cstddef>

namespace reprise {

// In bytes: in use by tensors, the most in use since the last reset, and freed but kept for reuse.
struct MemoryStats {
  std::size_t in_use = 0, peak = 0, cached = 0;
};

}  // namespace reprise
