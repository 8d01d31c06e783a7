#include "engine/kernels/cpu/scratch.h"

#include <cstdlib>
#include <memory>

#include "engine/core/check.h"

namespace reprise::kernels::cpu {
namespace {

struct Free {
  void operator()(float* p) const { std::free(p); }
};
struct Slot {
  std::unique_ptr<float, Free> memory;
  std::size_t floats = 0;
};

}  // namespace

float* scratch(int slot, std::size_t floats) {
  thread_local Slot slots[scratch_slots];
  Slot& s = slots[slot];
  if (s.floats < floats) {
    const std::size_t bytes = (floats * sizeof(float) + 4095) / 4096 * 4096;
    s.memory.reset();
    s.floats = 0;
    s.memory.reset(static_cast<float*>(std::aligned_alloc(4096, bytes)));
    REPRISE_CHECK(s.memory != nullptr, "memory: could not get {} MiB of working space for a kernel",
                  bytes >> 20);
    s.floats = bytes / sizeof(float);
  }
  return s.memory.get();
}

}  // namespace reprise::kernels::cpu
