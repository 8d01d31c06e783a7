// One way to do the exercises of lesson 7.
#include <cstdio>

#include "apps/tour/sums.h"
#include "engine/core/tensor.h"

using namespace reprise;
using tour::wide;

namespace {

// 1. Kahan's sum: `lost` carries to the next addition what the last one rounded away.
float kahan(const std::vector<float>& x) {
  float sum = 0, lost = 0;
  for (const float v : x) {
    const float mended = v - lost, next = sum + mended;
    lost = (next - sum) - mended;  // in exact arithmetic this would be 0
    sum = next;
  }
  return sum;
}

// 2. Adds n ones and rounds to bf16 after each.
float sum_of_ones_in_bf16(int n) {
  BFloat16 sum = to_bfloat16(0);
  for (int i = 0; i < n; ++i) sum = to_bfloat16(to_float(sum) + 1);
  return to_float(sum);
}

// 3. Two ways to compute a variance, in the arithmetic of T.
template <class T>
T mean_of_squares_less_squared_mean(const std::vector<float>& x) {
  T sum = 0, squares = 0;
  for (const float v : x) {
    sum += static_cast<T>(v);
    squares += static_cast<T>(v) * static_cast<T>(v);
  }
  const T n = static_cast<T>(x.size());
  return squares / n - sum / n * (sum / n);
}
template <class T>
T mean_squared_distance(const std::vector<float>& x) {
  T sum = 0, squares = 0;
  for (const float v : x) sum += static_cast<T>(v);
  const T mean = sum / static_cast<T>(x.size());
  for (const float v : x) squares += (static_cast<T>(v) - mean) * (static_cast<T>(v) - mean);
  return squares / static_cast<T>(x.size());
}

}  // namespace

int main() {
  const std::vector<float> x = tour::uniform(1'000'000, 0, 1, "tour/sum");
  const double exact = tour::exactly(x), plain = tour::ulps(wide(tour::forwards(x.data(), 1'000'000)), exact),
               mended = tour::ulps(wide(kahan(x)), exact);
  std::printf("1. a million numbers: plain sum %.1f ulps off, Kahan's %.1f\n", plain, mended);

  const float ones = sum_of_ones_in_bf16(1000);
  std::printf("2. a thousand ones in bf16 make %.0f\n", wide(ones));

  const std::vector<float> far = tour::uniform(10'000, 999, 1001, "tour/far");
  const double one_pass = wide(mean_of_squares_less_squared_mean<float>(far)),
               two_pass = wide(mean_squared_distance<float>(far)),
               one_pass64 = mean_of_squares_less_squared_mean<double>(far),
               two_pass64 = mean_squared_distance<double>(far);
  std::printf("3. variance          in float32     in double\n");
  std::printf("   E[x^2] - E[x]^2   %10.6f    %10.6f\n", one_pass, one_pass64);
  std::printf("   E[(x - E[x])^2]   %10.6f    %10.6f\n", two_pass, two_pass64);

  const bool rounding =
      std::abs(one_pass64 - two_pass64) < 1e-6;                   // in double the two agree: no wrong formula
  const bool amplified = std::abs(one_pass - two_pass64) > 0.01;  // but in float32 nothing is left of it
  return mended <= 1 && plain > 20 && ones == 256 && rounding && amplified &&
                 std::abs(two_pass - two_pass64) < 1e-3
             ? 0
             : 1;
}
