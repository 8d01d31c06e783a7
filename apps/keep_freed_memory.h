// For the programs' main: glibc otherwise gives a decoded image's memory back to the system and faults it in
// again, page by page, for the next (a fifth of the time of loading photographs).
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
