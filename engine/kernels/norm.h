// What the kernels of norms and of optimizer steps share.
#pragma once

#include <cstdint>

#include "engine/core/view.h"
#include "engine/kernels/args.h"

namespace reprise::kernels {

// Returns the number of rows with a norm of their own: x[0] for l12 and rank > 1, else 1.
inline std::int64_t norm_rows(NormKind kind, const Shape& x) {
  return kind == NormKind::l12 && x.rank() > 1 ? x[0] : 1;
}

// The gradient of scale * norm(x) at one value of x, in double; `norm` is that of the value's row.
//   l1: scale * sign(x)      l2, l12: scale * x / norm, or 0 if the norm is 0
struct NormGradient {
  bool l1;
  double scale;
#if defined(__CUDACC__)
  __host__ __device__
#endif
      double
      operator()(double x, double norm) const {
    return scale * (l1 ? (x > 0) - (x < 0) : norm == 0 ? 0 : x / norm);
  }
};

}  // namespace reprise::kernels
