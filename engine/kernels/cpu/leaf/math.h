// exp, log, tanh, sigmoid and the normal distribution of a vector, without FMA: all builds give the
// same bits. Errors stay below 1 unit in the last place for exp and log, 1.5 for tanh, 2.5 for
// sigmoid. Subnormals are 0.
#pragma once

#include "engine/kernels/cpu/leaf/vec.h"

namespace reprise::kernels::cpu::REPRISE_ISA {

// Returns c[0] x^(n-1) + ... + c[n-1].
template <int n>
REPRISE_INLINE Vec polynomial(Vec x, const float (&c)[n]) {
  Vec sum = broadcast(c[0]);
  for (int i = 1; i < n; ++i) sum = sum * x + c[i];
  return sum;
}

// exp(x) = 2^k exp(r),  where x = k ln 2 + r and |r| <= ln 2 / 2
// ln 2 is subtracted in two parts; the first is short enough for an exact product.
REPRISE_INLINE Vec exp_of(Vec x) {
  static constexpr float coefficients[] = {0.000199193775f, 0.00139472249f, 0.00833326299f,
                                           0.0416662544f,   0.166666672f,   0.5f};
  const Vec low = broadcast(-104.0f), high = broadcast(89.0f);  // beyond them the result is 0 or infinite
  const Vec v = select(x < low, low, select(x > high, high, x));
  const Vec magic = broadcast(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
  const Vec shifted = v * 1.44269504f + magic;
  const Vec k = shifted - magic;
  const Vec r = (v - k * 0.693359375f) - k * -2.12194440e-4f;
  const Vec y = (polynomial(r, coefficients) * (r * r) + r) + 1.0f;
  const VecInt exponent = (VecInt)shifted - (VecInt)magic, half = exponent >> 1;  // 2^k in two factors
  const Vec result = (y * (Vec)((half + 127) << 23)) * (Vec)((exponent - half + 127) << 23);
  return select(x != x, x, result);
}

// log(x) = k ln 2 + f - f^2/2 + f^3 P(f),  where x = 2^k m, sqrt(1/2) <= m < sqrt(2) and f = m - 1
REPRISE_INLINE Vec log_of(Vec x) {
  static constexpr float coefficients[] = {0.0674660131f, -0.116756409f, 0.118881747f,
                                           -0.124055915f, 0.142195508f,  -0.166679963f,
                                           0.200021192f,  -0.250000089f, 0.333333135f};
  const std::int32_t root_half = 0x3f3504f3;
  const VecInt bits = (VecInt)((VecBits)x - static_cast<std::uint32_t>(root_half));  // may wrap for x < 0
  const VecInt exponent = bits >> 23;
  const Vec k = __builtin_convertvector(exponent, Vec);
  const Vec f = (Vec)((bits & 0x7fffff) + root_half) - 1.0f;
  const Vec square = f * f;
  const Vec rest = polynomial(f, coefficients) * (square * f) + k * -2.12194440e-4f;
  const Vec result = (f + (rest - square * 0.5f)) + k * 0.693359375f;
  const Vec smallest = broadcast(1.17549435e-38f), infinity = broadcast(__builtin_inff());
  const Vec special =
      select(absolute(x) < smallest, -infinity, select(x < 0.0f, broadcast(__builtin_nanf("")), x));
  return select((x >= smallest) & (x < infinity), result, special);
}

// tanh(x) = sign(x) (1 - 2 / (exp(2|x|) + 1));  near 0 an odd polynomial
REPRISE_INLINE Vec tanh_of(Vec x) {
  static constexpr float coefficients[] = {0.00214753696f, -0.00818267372f, 0.0217029676f,
                                           -0.0539472029f, 0.133332103f,    -0.333333313f};
  const Vec a = absolute(x), square = x * x;
  const Vec small = polynomial(square, coefficients) * (square * x) + x;
  const Vec large = 1.0f - 2.0f / (exp_of(a + a) + 1.0f);
  const VecInt sign = (VecInt)x & static_cast<std::int32_t>(0x80000000u);
  return select(a < 0.625f, small, (Vec)((VecInt)large | sign));
}

REPRISE_INLINE Vec sigmoid_of(Vec x) {
  return 1.0f / (1.0f + exp_of(-x));
}

// The standard normal distribution's share below x, off by at most 2e-7, and its density at x:
//   below(-|x|) = exp(-x^2/2) t P(t),  where t = 1 / (1 + 0.23164 |x|)   (Abramowitz, Stegun 26.2.17)
struct Normal {
  Vec below, density;
};
REPRISE_INLINE Normal normal_of(Vec x) {
  static constexpr float coefficients[] = {0.530702714f, -0.726576014f, 0.710706871f, -0.142248368f,
                                           0.127414796f};
  const Vec bell = exp_of(x * x * -0.5f), t = 1.0f / (1.0f + absolute(x) * 0.2316419f);
  const Vec tail = bell * (t * polynomial(t, coefficients));
  return {select(x < Vec{}, tail, 1.0f - tail), bell * 0.398942280f};
}

}  // namespace reprise::kernels::cpu::REPRISE_ISA
