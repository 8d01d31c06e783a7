// The transforms of Winograd's F(4x4, 3x3) (Lavin and Gray, 2016) on tiles of (H,W,C)
// images, with stride 1 and with stride 2.
#pragma once

#include <cstdint>

#include "engine/kernels/cpu/base/isa.h"

namespace reprise::kernels::cpu {

// The points of the interpolation are 0, p, -p, q, -q and infinity. p, q and the products that the
// transforms need are exact in f32; the usual points 1 and 2 would double the rounding error
// (apps/bench/results/winograd.md).
inline constexpr float winograd_p = 0.625f, winograd_q = 1.5f;

// The numbers of a tile along each axis.
struct WinogradAxis {
  int patch, elements, outputs;  // pixels read, elements of the transform, pixels written
  int step;                      // the input's pixels from tile to tile
};
inline constexpr WinogradAxis winograd_unit{6, 6, 4, 4};
// At stride 2 a convolution along an axis is the sum of two. The patch's even pixels meet only the
// outer taps: a convolution with two taps, in the form F(4, 2) without the point 0, which has the
// elements 0 to 4. The odd pixels meet only the middle tap; they are the elements 5 to 8 as they
// are. In the gradient the outer taps give the odd outputs, the middle tap the even ones.
inline constexpr WinogradAxis winograd_strided{9, 9, 4, 8}, winograd_strided_grad{5, 9, 8, 4};
// Elements of the transformed filter along an axis. At stride 2 the last is the middle tap, which
// elements 5 to 8 share.
inline constexpr int winograd_panels = 6;

// The input's transform, v = B^T d B, where d is the patch.
template <class T>
struct WinogradInput {
  const T* pixel[81];  // each pixel's channels, row by row; outside the image they are zeros
  std::int64_t channels;
  float* v;  // element e begins at v + e * element_stride
  std::int64_t element_stride;
};

// The output's transform, A^T m A. Its first rows x columns values go to y, or are added if `adds`.
template <class T>
struct WinogradOutput {
  const float* m;  // element e begins at m + e * element_stride
  std::int64_t element_stride;
  std::int64_t channels;
  T* y;
  std::int64_t row_stride, pixel_stride;
  int rows, columns;
  bool adds;
};

// The transform u = G g G^T of 3x3 filters for the `block` output channels of a block.
struct WinogradFilter {
  const double* taps;  // tap e of the 3x3 begins at taps + e * block
  std::int64_t block;
  float* u;  // panel e of the 6x6 begins at u + e * panel_stride
  std::int64_t panel_stride;
};

template <class T>
struct WinogradTransforms {
  void (*input)(const WinogradInput<T>& tile);
  void (*output)(const WinogradOutput<T>& tile);
  void (*filter)(const WinogradFilter& filters);
};
REPRISE_LEAF_OF(WinogradTransforms, winograd_unit_leaf)

// Stride 2, only in f32.
struct WinogradStridedLeaf {
  WinogradTransforms<float> fwd, grad;
};
REPRISE_LEAF(WinogradStridedLeaf, winograd_strided_leaf)

// For the sizes of a bound: the output's transform is |A^T| m |A|, and that of the input
// B^T d B in `values` and |B^T| d |B| in `sizes`, for both strides. Only in f32.
struct WinogradSizesLeaf {
  WinogradTransforms<float> values[2], sizes[2];
};
REPRISE_LEAF(WinogradSizesLeaf, winograd_sizes_leaf)

}  // namespace reprise::kernels::cpu
