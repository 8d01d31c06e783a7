// Element-wise functions of one tensor.
#include <cmath>

#include "engine/kernels/ref/loops.h"

namespace reprise::kernels::ref {
namespace {

template <class T>
T apply(UnaryOp op, T x) {
  switch (op) {
    case UnaryOp::exp:
      return std::exp(x);
    case UnaryOp::log:
      return std::log(x);
    case UnaryOp::sqrt:
      return std::sqrt(x);
    case UnaryOp::tanh:
      return std::tanh(x);
    case UnaryOp::sigmoid:
      return 1 / (1 + std::exp(-x));
  }
  return x;
}

// Returns dy/dx, computed from x (log) or from y (the others).
template <class T>
T derivative(UnaryOp op, T x, T y) {
  switch (op) {
    case UnaryOp::exp:
      return y;
    case UnaryOp::log:
      return 1 / x;
    case UnaryOp::sqrt:
      return 1 / (2 * y);
    case UnaryOp::tanh:
      return 1 - y * y;
    case UnaryOp::sigmoid:
      return y * (1 - y);
  }
  return y;
}

}  // namespace

// y = max(x, 0); NaN stays NaN
template <class T>
void relu_fwd(View x, MutView y) {
  each_output(x.numel(), 1, [&](std::int64_t i) {
    const T v = x.data<T>()[i];
    y.data<T>()[i] = v < 0 ? T(0) : v;
  });
}

// dx = dy where y > 0, else 0
template <class T>
void relu_bwd(View y, View dy, MutView dx) {
  each_output(y.numel(), 1,
              [&](std::int64_t i) { dx.data<T>()[i] = y.data<T>()[i] > 0 ? dy.data<T>()[i] : T(0); });
}

template <class T>
void unary_fwd(const UnaryArgs& a, View x, MutView y) {
  each_output(x.numel(), 8, [&](std::int64_t i) { y.data<T>()[i] = apply(a.op, x.data<T>()[i]); });
}

// dx = dy * dy/dx. Either x or y may be absent: the one that the derivative does not need.
template <class T>
void unary_bwd(const UnaryArgs& a, View x, View y, View dy, MutView dx) {
  each_output(dy.numel(), 8, [&](std::int64_t i) {
    const T at_x = x ? x.data<T>()[i] : T(0), at_y = y ? y.data<T>()[i] : T(0);
    dx.data<T>()[i] = dy.data<T>()[i] * derivative(a.op, at_x, at_y);
  });
}

// y = scale * x + shift
template <class T>
void affine(const AffineArgs& a, View x, MutView y) {
  const T scale = static_cast<T>(a.scale), shift = static_cast<T>(a.shift);
  each_output(x.numel(), 1, [&](std::int64_t i) { y.data<T>()[i] = scale * x.data<T>()[i] + shift; });
}

REPRISE_REF_KERNEL(relu_fwd);
REPRISE_REF_KERNEL(relu_bwd);
REPRISE_REF_KERNEL(unary_fwd);
REPRISE_REF_KERNEL(unary_bwd);
REPRISE_REF_KERNEL(affine);

}  // namespace reprise::kernels::ref
