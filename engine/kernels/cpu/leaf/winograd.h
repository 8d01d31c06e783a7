// The transforms of Winograd's F(4x4, 3x3) convolution (Lavin and Gray, 2016), on tiles of (H,W,C) images, of
// stride 1 and of stride 2.
#pragma once

#include <cstdint>

#include "engine/kernels/cpu/base/isa.h"

namespace reprise::kernels::cpu {

// The points of the interpolation are 0, p, -p, q, -q and infinity. These two, and the products of them that
// the transforms need, are exact in f32; the usual 1 and 2 would double the rounding error
// (apps/bench/results/winograd.md).
inline constexpr float winograd_p = 0.625f, winograd_q = 1.5f;

// What a tile has along each axis.
struct WinogradAxis {
  int patch, elements, outputs;  // pixels read, elements between, pixels written
  int step;                      // in pixels read, from tile to tile
};
inline constexpr WinogradAxis winograd_unit{6, 6, 4, 4};
// Stride 2 is two convolutions in one: every second pixel meets the middle tap alone, those between meet the
// two outer taps, which is F(4, 2) with the points p, -p, q, -q and infinity. So there are five elements of
// the latter, then four pixels as they are. In the gradient the two kinds are outputs instead of inputs.
inline constexpr WinogradAxis winograd_strided{9, 9, 4, 8}, winograd_strided_grad{5, 9, 8, 4};
// Of the filter, along each axis; the pixels as they are share the last one.
inline constexpr int winograd_panels = 6;

// v = B^T d B, where d is the patch.
template <class T>
struct WinogradInput {
  const T* pixel[81];  // each pixel's channels, row by row; zeros where it lies outside the image
  std::int64_t channels;
  float* v;  // element e begins at v + e * element_stride
  std::int64_t element_stride;
};

// y = A^T m A, of which the first rows x columns are stored, or added to what is there.
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

// u = G g G^T for filters side by side, as many as a block of outputs has (`lanes` or twice that).
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

// In f32 alone.
struct WinogradStridedLeaf {
  WinogradTransforms<float> fwd, grad;
};
REPRISE_LEAF(WinogradStridedLeaf, winograd_strided_leaf)

}  // namespace reprise::kernels::cpu
