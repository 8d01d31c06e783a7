// A convolution's epilogue, over `rows` pixels of `channels` values. b is the input of batch norm.
// `open` has a bit for each value that says whether the activation passes gradients (block.h): bit
// c % 8 of byte c / 8; each pixel begins a new byte. With `non_temporal` the output is written by non-temporal
// stores; then each of its rows must begin at a multiple of 64 bytes.
#pragma once

#include <cstdint>

#include "engine/kernels/args.h"
#include "engine/kernels/cpu/base/isa.h"

namespace reprise::kernels::cpu {

template <class T>
struct ConvBlockLeaf {
  // y = [activation]((b - mean) * scale + shift [+ residual]);  writes `open` unless it is null
  // Rows of b are b_stride values apart, rows of residual and y `stride`. y may be b.
  void (*finish)(const T* b, std::int64_t b_stride, const float* mean, const float* scale, const float* shift,
                 const T* residual, Activation activation, T* y, std::uint8_t* open, bool non_temporal,
                 std::int64_t rows, std::int64_t stride, std::int64_t channels);
  // y += b, rows as above
  void (*add)(const T* b, std::int64_t b_stride, T* y, std::int64_t rows, std::int64_t stride,
              std::int64_t channels);
  // Below, g = dy where open, else 0; g = dy if `open` is null.
  // sum += sum g,  products += sum g * (b - mean), four rows at a time
  void (*grad_sums)(const T* b, const T* dy, const std::uint8_t* open, const float* mean, float* sum,
                    float* products, std::int64_t rows, std::int64_t channels);
  // db = scale * ((g - grad_mean) - (b - mean) * slope); db may be b
  void (*grad_input)(const T* b, const T* dy, const std::uint8_t* open, const float* mean,
                     const float* grad_mean, const float* slope, const float* scale, T* db, bool non_temporal,
                     std::int64_t rows, std::int64_t channels);
  // The same, and out = g; `non_temporal` concerns only out
  void (*grad_input_and_masked)(const T* b, const T* dy, const std::uint8_t* open, const float* mean,
                                const float* grad_mean, const float* slope, const float* scale, T* db, T* out,
                                bool non_temporal, std::int64_t rows, std::int64_t channels);
  // out = g * scale, or g if `scale` is null
  void (*masked)(const T* dy, const std::uint8_t* open, const float* scale, T* out, bool non_temporal,
                 std::int64_t rows, std::int64_t channels);
};
REPRISE_LEAF_OF(ConvBlockLeaf, conv_block_leaf)

}  // namespace reprise::kernels::cpu
