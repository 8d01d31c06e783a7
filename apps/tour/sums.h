// Sums of the same numbers in several orders, in float32, and their distance from the exact sum.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>
#include <vector>

#include "engine/base/random.h"

namespace tour {

inline double wide(float x) {
  return static_cast<double>(x);
}

// Returns n numbers from [low, high). Equal arguments give equal numbers.
inline std::vector<float> uniform(int n, double low, double high, std::string_view purpose) {
  reprise::RandomStream random(/*seed=*/1, purpose);
  std::vector<float> values;
  for (int i = 0; i < n; ++i) values.push_back(static_cast<float>(random.uniform(low, high)));
  return values;
}

inline float forwards(const float* x, std::int64_t n) {
  float sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += x[i];
  return sum;
}

inline float backwards(const float* x, std::int64_t n) {
  float sum = 0;
  for (std::int64_t i = n - 1; i >= 0; --i) sum += x[i];
  return sum;
}

// Adds the sums of both halves, and so on: every number goes through about log2(n) additions.
inline float in_pairs(const float* x, std::int64_t n) {
  return n < 4 ? forwards(x, n) : in_pairs(x, n / 2) + in_pairs(x + n / 2, n - n / 2);
}

// Returns the sum in double, whose error is far below a float's last place.
inline double exactly(const std::vector<float>& x) {
  double sum = 0;
  for (const float v : x) sum += wide(v);
  return sum;
}

// Returns the inner product of the elements [from, to), in the arithmetic of T.
template <class T>
T product(const float* x, const float* w, int from, int to) {
  T sum = 0;
  for (int i = from; i < to; ++i) sum += static_cast<T>(x[i]) * static_cast<T>(w[i]);
  return sum;
}

// Returns the distance from the exact value in units in the last place
// (ulp). An ulp is the gap between two neighbouring floats there.
inline double ulps(double value, double exact) {
  const float near = std::abs(static_cast<float>(exact));
  const float next = std::nextafter(near, std::numeric_limits<float>::infinity());
  return std::abs(value - exact) / wide(next - near);
}

}  // namespace tour
