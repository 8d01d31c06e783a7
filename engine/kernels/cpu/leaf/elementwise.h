// Element-wise functions over n values, or over `rows` rows of `channels` values.
#pragma once

#include <cstdint>

#include "engine/kernels/args.h"
#include "engine/kernels/cpu/base/isa.h"

namespace reprise::kernels::cpu {

template <class T>
struct ElementwiseLeaf {
  void (*affine)(float scale, float shift, const T* x, T* y, std::int64_t n);
  void (*binary)(BinaryOp op, const T* a, const T* b, T* y, std::int64_t n);
  void (*binary_scalar)(BinaryOp op, const T* a, float b, T* y, std::int64_t n);
  // b has one f32 value per channel.
  void (*binary_channel)(BinaryOp op, const T* a, const float* b, T* y, std::int64_t rows,
                         std::int64_t channels);
  void (*unary_fwd)(const UnaryArgs& args, const T* x, T* y, std::int64_t n);
  // Reads x for log, clamp and gelu, y for the other ops; the operand that is not read may be null.
  void (*unary_bwd)(const UnaryArgs& args, const T* x, const T* y, const T* dy, T* dx, std::int64_t n);
  // Convert to floats, and back with rounding.
  void (*widen)(const T* x, float* y, std::int64_t n);
  void (*narrow)(const float* x, T* y, std::int64_t n);
};
REPRISE_LEAF_OF(ElementwiseLeaf, elementwise_leaf)

}  // namespace reprise::kernels::cpu
