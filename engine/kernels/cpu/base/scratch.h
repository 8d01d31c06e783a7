// Memory that a thread keeps for its kernels, so that no step allocates.
#pragma once

#include <cstddef>
#include <cstdint>

namespace reprise::kernels::cpu {

// What the memory is for. Kernels that never run inside one another share a name.
//
//   name       holds                                                    held
//   weights    packed weights that are not sealed                       by a convolution's calling thread, to its end
//   pixels     a unit's copy of its input; Winograd's products          by a thread, for one unit
//   winograd   Winograd's transformed pixels                            by a thread, for one unit
//   order      the order of Winograd's tiles                            by a thread, for one unit
//   operand    pixels of a PixelSource; gradients of wgrad; zeros of    by a thread, for one unit or chunk
//              Winograd's form; a filter's sums with a padded pitch
//              a matrix product's first matrix, transposed              by its calling thread, to its end
//   sums       partial sums of all chunks                               by a kernel's calling thread, to its end
//   rows       rows of a filter's output or gradient; of a pooled map   by a thread, for one chunk
//   padded     rows of x with a padded pitch                            by a thread, for one chunk
//
// A convolution calls PixelSource while `weights` and `pixels` are held, and PixelsMade when a unit is complete,
// while only `weights` is.
enum class Scratch : std::uint8_t { weights, pixels, winograd, order, operand, sums, rows, padded, count };

// Returns at least `floats` floats, aligned to 64 bytes, contents undefined; valid until this thread asks for
// the same name again. Throws Error where there is not enough memory.
float* scratch(Scratch name, std::size_t floats);
// The same as so many elements of T.
template <class T>
T* scratch_of(Scratch name, std::size_t count) {
  return reinterpret_cast<T*>(scratch(name, (count * sizeof(T) + sizeof(float) - 1) / sizeof(float)));
}

}  // namespace reprise::kernels::cpu
