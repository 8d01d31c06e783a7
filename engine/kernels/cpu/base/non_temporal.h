// Non-temporal stores, for outputs so large that the caches lose them before they are read
// again. Such stores bypass the caches, so memory is not read only to be overwritten.
#pragma once

#include <cstdint>

#include "engine/core/view.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace reprise::kernels::cpu {

inline constexpr std::int64_t non_temporal_bytes = std::int64_t{16} << 20;  // smallest such output

// Returns whether an output of `bytes` bytes at `out` is written with non-temporal
// stores. `out` and every row, of `row_bytes` bytes, must begin at a cache line.
inline bool is_non_temporal(const void* out, std::int64_t bytes, std::int64_t row_bytes) {
  constexpr std::int64_t line = 64;
  return bytes >= non_temporal_bytes && row_bytes % line == 0 &&
         reinterpret_cast<std::uintptr_t>(out) % line == 0;
}

// The same for a tensor (N,H,W,C) of T, whose pixels are the rows; false if it is absent.
template <class T>
bool is_non_temporal(MutView images) {
  constexpr std::int64_t size = sizeof(T);
  return images && is_non_temporal(images.ptr, images.numel() * size, images.dim(3) * size);
}

// Makes this thread's non-temporal stores visible. Call it before other threads read them.
inline void fence_non_temporal() {
#if defined(__x86_64__)
  _mm_sfence();
#endif
}

}  // namespace reprise::kernels::cpu
