// Memory that a thread keeps for its kernels, so that no step allocates.
#pragma once

#include <cstddef>

namespace reprise::kernels::cpu {

// At least `floats` floats, aligned to 64 bytes, contents undefined; valid until this thread asks for the
// same slot again. Slots are independent.
float* scratch(int slot, std::size_t floats);
// The same as so many elements of T.
template <class T>
T* scratch_of(int slot, std::size_t count) {
  return reinterpret_cast<T*>(scratch(slot, (count * sizeof(T) + sizeof(float) - 1) / sizeof(float)));
}
inline constexpr int scratch_slots = 5;

}  // namespace reprise::kernels::cpu
