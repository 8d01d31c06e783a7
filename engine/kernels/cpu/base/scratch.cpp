#include "engine/kernels/cpu/base/scratch.h"

#include <sys/mman.h>

#include <cstdlib>
#include <memory>

#include "engine/base/check.h"

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

float* scratch(Scratch name, std::size_t floats) {
  thread_local Slot slots[static_cast<std::size_t>(Scratch::count)];
  Slot& s = slots[static_cast<std::size_t>(name)];
  if (s.floats < floats) {
    // Tiles read rows that are pages apart, so large memory lies in huge pages.
    constexpr std::size_t page = 4096, huge_page = std::size_t{2} << 20;
    const std::size_t unit = floats * sizeof(float) > huge_page / 8 ? huge_page : page;
    const std::size_t bytes = (floats * sizeof(float) + unit - 1) / unit * unit;
    s.memory.reset();
    s.floats = 0;
    s.memory.reset(static_cast<float*>(std::aligned_alloc(unit, bytes)));
    REPRISE_CHECK(s.memory != nullptr, "memory: could not get {} MiB of working space for a kernel",
                  bytes >> 20);
#if defined(MADV_HUGEPAGE)
    if (unit == huge_page) madvise(s.memory.get(), bytes, MADV_HUGEPAGE);
#endif
    s.floats = bytes / sizeof(float);
  }
  return s.memory.get();
}

}  // namespace reprise::kernels::cpu
