// The two transforms of Winograd's F(4x4, 3x3) convolution (Lavin and Gray, 2016), on tiles of (H,W,C)
// images.
#pragma once

#include <cstdint>

#include "engine/kernels/cpu/isa.h"

namespace reprise::kernels::cpu {

// The points of the interpolation are 0, p, -p, q, -q and infinity. These two, and the products of them that
// the transforms need, are exact in f32; the usual 1 and 2 would double the rounding error
// (apps/bench/results/winograd.md).
inline constexpr float winograd_p = 0.625f, winograd_q = 1.5f;

// v = B^T d B, where d is 6x6 pixels of the input.
template <class T>
struct WinogradInput {
  const T* pixel[36];  // each pixel's channels, row by row; zeros where it lies outside the image
  std::int64_t channels;
  float* v;  // element e of the 6x6 begins at v + e * element_stride
  std::int64_t element_stride;
};

// y = A^T m A: 4x4 pixels of the output, of which the first rows x columns are stored.
template <class T>
struct WinogradOutput {
  const float* m;  // element e begins at m + e * element_stride
  std::int64_t element_stride;
  std::int64_t channels;
  T* y;
  std::int64_t row_stride, pixel_stride;
  int rows, columns;
};

// u = G g G^T for filters side by side, as many as a block of outputs has (`lanes` or twice that).
struct WinogradFilter {
  const double* taps;  // tap e of the 3x3 begins at taps + e * block
  std::int64_t block;
  float* u;  // element e of the 6x6 begins at u + e * element_stride
  std::int64_t element_stride;
};

template <class T>
struct WinogradLeaf {
  void (*input)(const WinogradInput<T>& tile);
  void (*output)(const WinogradOutput<T>& tile);
  void (*filter)(const WinogradFilter& filters);
};
REPRISE_LEAF_OF(WinogradLeaf, winograd_leaf)

}  // namespace reprise::kernels::cpu
