// Element-wise arithmetic. b has a's shape, one element, or one value per channel (a's last
// dimension). If a is bf16, b is f32 unless it has a's shape. Results have a's shape and dtype.
#pragma once

#include "engine/base/random.h"
#include "engine/core/tensor.h"

namespace reprise::ops {

// Return a + b, a - b, a * b and a / b.
REPRISE_API Tensor add(const Tensor& a, const Tensor& b);
REPRISE_API Tensor sub(const Tensor& a, const Tensor& b);
REPRISE_API Tensor mul(const Tensor& a, const Tensor& b);
REPRISE_API Tensor div(const Tensor& a, const Tensor& b);

// Computes scale * x + shift, with plain numbers.
REPRISE_API Tensor affine(const Tensor& x, double scale, double shift = 0);

// Sets each element to 0 with probability p, 0 <= p < 1, and scales the others by 1 / (1 - p).
// Samples one number an element from `stream`.
REPRISE_API Tensor dropout(const Tensor& x, double p, RandomStream& stream);

}  // namespace reprise::ops

namespace reprise {
inline Tensor operator+(const Tensor& a, const Tensor& b) {
  return ops::add(a, b);
}
inline Tensor operator-(const Tensor& a, const Tensor& b) {
  return ops::sub(a, b);
}
inline Tensor operator*(const Tensor& a, const Tensor& b) {
  return ops::mul(a, b);
}
inline Tensor operator/(const Tensor& a, const Tensor& b) {
  return ops::div(a, b);
}
inline Tensor operator*(double s, const Tensor& x) {
  return ops::affine(x, s);
}
inline Tensor operator*(const Tensor& x, double s) {
  return ops::affine(x, s);
}
inline Tensor operator+(const Tensor& x, double s) {
  return ops::affine(x, 1, s);
}
inline Tensor operator-(const Tensor& x, double s) {
  return ops::affine(x, 1, -s);
}
inline Tensor operator+(double s, const Tensor& x) {
  return x + s;
}
inline Tensor operator-(double s, const Tensor& x) {
  return ops::affine(x, -1, s);
}
inline Tensor operator/(const Tensor& x, double s) {  // rounded once, as a division by a tensor
  return ops::div(x, full({}, s, parameter_dtype(x.dtype()), x.device()));
}
// Makes a the sum. A marked leaf is updated in place and stays marked; Error unless NoGrad lives.
REPRISE_API Tensor& operator+=(Tensor& a, const Tensor& b);
inline Tensor operator-(const Tensor& x) {
  return ops::affine(x, -1);
}
}  // namespace reprise
