// Sums over many values, in an order that depends only on the shape and the instruction set.
#pragma once

#include <cstdint>

#include "engine/kernels/cpu/base/isa.h"

namespace reprise::kernels::cpu {

template <class T>
struct ReduceLeaf {
  // out[c] = sum over the rows of x[r, c], in f32
  void (*sum_rows)(const T* x, float* out, std::int64_t rows, std::int64_t channels);
  // Return, in double, sum x, sum |x| and sum x^2.
  double (*sum)(const T* x, std::int64_t n);
  double (*sum_absolute)(const T* x, std::int64_t n);
  double (*sum_squares)(const T* x, std::int64_t n);
};
REPRISE_LEAF_OF(ReduceLeaf, reduce_leaf)

}  // namespace reprise::kernels::cpu
