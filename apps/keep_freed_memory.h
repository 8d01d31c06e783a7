// Tells glibc to keep freed memory; called by the programs' main.
// By default glibc returns a decoded image's memory to the system, and the
// next image faults it in again page by page, which slows loading down.
#pragma once

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace reprise {

inline void keep_freed_memory() {
#if defined(__GLIBC__)
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 64 << 20);
#endif
}

}  // namespace reprise
