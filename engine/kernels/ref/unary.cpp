// Element-wise functions of one tensor.
#include <cmath>

#include "engine/kernels/ref/loops.h"

namespace reprise::kernels::ref {
namespace {

// Returns the standard normal distribution's share below x.
template <class T>
T below(T x) {
  return std::erfc(-x * static_cast<T>(0.70710678118654752)) / 2;
}

template <class T>
T apply(const UnaryArgs& a, T x) {
  switch (a.op) {
    case UnaryOp::relu:  // NaN stays NaN
      return x < 0 ? T(0) : x;
    case UnaryOp::relu6:
    case UnaryOp::clamp: {
      const T low = static_cast<T>(a.low), high = static_cast<T>(a.high);
      return x < low ? low : x > high ? high : x;
    }
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
    case UnaryOp::gelu:
      return x * below(x);
  }
  return x;
}

// Returns dx, computed from x (log, clamp, gelu) or from y (the others).
template <class T>
T gradient(const UnaryArgs& a, T x, T y, T dy) {
  switch (a.op) {
    case UnaryOp::relu:
      return y > 0 ? dy : T(0);
    case UnaryOp::relu6:
      return y > static_cast<T>(a.low) && y < static_cast<T>(a.high) ? dy : T(0);
    case UnaryOp::clamp:
      return x >= static_cast<T>(a.low) && x <= static_cast<T>(a.high) ? dy : T(0);
    case UnaryOp::exp:
      return dy * y;
    case UnaryOp::log:
      return dy * (1 / x);
    case UnaryOp::sqrt:
      return dy * (1 / (2 * y));
    case UnaryOp::tanh:
      return dy * (1 - y * y);
    case UnaryOp::sigmoid:
      return dy * (y * (1 - y));
    case UnaryOp::gelu:
      return dy * (below(x) + x * std::exp(-x * x / 2) * static_cast<T>(0.39894228040143268));
  }
  return dy;
}

}  // namespace

template <class T>
void unary_fwd(const UnaryArgs& a, View x, MutView y) {
  each_output(x.numel(), 8, [&](std::int64_t i) { y.data<T>()[i] = apply(a, x.data<T>()[i]); });
}

// Either x or y may be absent: the one that the gradient does not need.
template <class T>
void unary_bwd(const UnaryArgs& a, View x, View y, View dy, MutView dx) {
  each_output(dy.numel(), 8, [&](std::int64_t i) {
    const T at_x = x ? x.data<T>()[i] : T(0), at_y = y ? y.data<T>()[i] : T(0);
    dx.data<T>()[i] = gradient(a, at_x, at_y, dy.data<T>()[i]);
  });
}

// y = scale * x + shift
template <class T>
void affine(const AffineArgs& a, View x, MutView y) {
  const T scale = static_cast<T>(a.scale), shift = static_cast<T>(a.shift);
  each_output(x.numel(), 1, [&](std::int64_t i) { y.data<T>()[i] = scale * x.data<T>()[i] + shift; });
}

REPRISE_REF_KERNEL(unary_fwd);
REPRISE_REF_KERNEL(unary_bwd);
REPRISE_REF_KERNEL(affine);

}  // namespace reprise::kernels::ref
