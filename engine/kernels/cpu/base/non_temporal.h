// Outputs that are written past the caches: so large that they would not be found there when they are read
// next. Memory need not be read then, only to be overwritten.
#pragma once

#include <cstdint>

#include "engine/core/view.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace reprise::kernels::cpu {

inline constexpr std::int64_t non_temporal_bytes = std::int64_t{16} << 20;

// Whether an output of so many bytes at `out` is written so. Rows of `row_bytes`, and wherever a kernel
// begins in one of them, must be whole cache lines.
inline bool is_non_temporal(const void* out, std::int64_t bytes, std::int64_t row_bytes) {
  constexpr std::int64_t line = 64;
  return bytes >= non_temporal_bytes && row_bytes % line == 0 &&
         reinterpret_cast<std::uintptr_t>(out) % line == 0;
}

// Whether a pass over all of an image tensor writes it so; an absent one is not written.
template <class T>
bool is_non_temporal(MutView images) {
  constexpr std::int64_t size = sizeof(T);
  return images && is_non_temporal(images.ptr, images.numel() * size, images.dim(3) * size);
}

// To be called by a thread that wrote so, before others read.
inline void fence_non_temporal() {
#if defined(__x86_64__)
  _mm_sfence();
#endif
}

}  // namespace reprise::kernels::cpu
