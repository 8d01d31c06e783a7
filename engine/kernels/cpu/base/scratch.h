// Working memory that a thread keeps from kernel to kernel, so that training steps do not allocate.
#pragma once

#include <cstddef>
#include <cstdint>

namespace reprise::kernels::cpu {

// What the memory is for. Two uses share a name only if neither runs inside the other.
//
//   name      holds                                             held by
//   weights   packed weights that are not sealed                the caller, for a whole convolution
//   pixels    a unit's copy of its input; products of           a thread, for one unit
//             Winograd's form; padded images of wgrad
//   winograd  transformed pixels of Winograd's form             a thread, for one unit
//   order     the order of tiles in Winograd's form             a thread, for one unit
//   operand   pixels from a PixelSource; gradients of wgrad;    a thread, for one unit or chunk
//             zeros of Winograd's form; a filter's gradient
//             a matrix product's first matrix, transposed       the caller, for a whole product
//   sums      partial sums of all chunks                        the caller, for a whole kernel
//   rows      rows of a filter's output or of a gradient        a thread, for one chunk
//   padded    rows of x with a padded pitch                     a thread, for one chunk
//
// A convolution calls its PixelSource while it holds `weights`, `pixels` and `operand`. It calls
// PixelsMade when a unit is complete, while it holds only `weights`.
enum class Scratch : std::uint8_t { weights, pixels, winograd, order, operand, sums, rows, padded, count };

// Returns at least `floats` floats, aligned to 64 bytes, with undefined contents. They are valid
// until this thread asks for the same name again. Throws Error if there is not enough memory.
float* scratch(Scratch name, std::size_t floats);
// The same for `count` elements of T.
template <class T>
T* scratch_of(Scratch name, std::size_t count) {
  return reinterpret_cast<T*>(scratch(name, (count * sizeof(T) + sizeof(float) - 1) / sizeof(float)));
}

}  // namespace reprise::kernels::cpu
