#include "engine/kernels/cpu/leaf/reduce.h"

#include "engine/kernels/cpu/leaf/vec.h"

namespace reprise::kernels::cpu::REPRISE_ISA {
namespace {

// Four rows are added together, then to the running sums, which lie in the output.
template <class T>
void sum_rows(const T* x, float* out, std::int64_t rows, std::int64_t channels) {
  for (std::int64_t c = 0; c < channels; ++c) out[c] = 0;
  std::int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    const T* p = x + r * channels;
    for_vectors(channels, [&](std::int64_t c, auto part) {
      prefetch_rows<4>(p, c);
      const Vec low = load(p + c, part) + load(p + channels + c, part);
      const Vec high = load(p + 2 * channels + c, part) + load(p + 3 * channels + c, part);
      store(out + c, load(out + c, part) + (low + high), part);
    });
  }
  for (; r < rows; ++r)
    for_vectors(channels, [&](std::int64_t c, auto part) {
      store(out + c, load(out + c, part) + load(x + r * channels + c, part), part);
    });
}

// Returns the sum of f over the widened values, from two running sums of doubles.
template <class T, class F>
double sum_of(const T* x, std::int64_t n, F f) {
  VecDouble low{}, high{};
  for_vectors(n, [&](std::int64_t i, auto part) {
    const Vec v = load(x + i, part);
    low += f(widen_low(v));
    high += f(widen_high(v));
  });
  return sum_lanes(low + high);
}

template <class T>
double sum(const T* x, std::int64_t n) {
  return sum_of(x, n, [](VecDouble v) { return v; });
}
template <class T>
double sum_absolute(const T* x, std::int64_t n) {
  return sum_of(x, n, [](VecDouble v) { return v < 0 ? -v : v; });
}
template <class T>
double sum_squares(const T* x, std::int64_t n) {
  return sum_of(x, n, [](VecDouble v) { return v * v; });
}

}  // namespace

REPRISE_LEAF_TABLES(ReduceLeaf, reduce_leaf, sum_rows, sum, sum_absolute, sum_squares);

}  // namespace reprise::kernels::cpu::REPRISE_ISA
