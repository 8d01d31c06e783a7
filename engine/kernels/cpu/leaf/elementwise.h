// Element-wise leaf functions over n floats, or over rows of n channels.
#pragma once

#include <cstdint>

#include "engine/kernels/args.h"
#include "engine/kernels/cpu/isa.h"

namespace reprise::kernels::cpu {

struct ElementwiseLeaf {
  void (*relu_fwd)(const float* x, float* y, std::int64_t n);
  void (*relu_bwd)(const float* y, const float* dy, float* dx, std::int64_t n);
  void (*affine)(float scale, float shift, const float* x, float* y, std::int64_t n);
  void (*binary)(BinaryOp op, const float* a, const float* b, float* y, std::int64_t n);
  void (*binary_scalar)(BinaryOp op, const float* a, float b, float* y, std::int64_t n);
  // b has one value per channel
  void (*binary_channel)(BinaryOp op, const float* a, const float* b, float* y, std::int64_t rows,
                         std::int64_t channels);
  void (*unary_fwd)(UnaryOp op, const float* x, float* y, std::int64_t n);
  // x is read for log, y for the others
  void (*unary_bwd)(UnaryOp op, const float* x, const float* y, const float* dy, float* dx, std::int64_t n);
};
REPRISE_LEAF(ElementwiseLeaf, elementwise_leaf)

}  // namespace reprise::kernels::cpu
