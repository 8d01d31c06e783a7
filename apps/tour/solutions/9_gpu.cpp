// One way to do the exercises of lesson 9. None of them needs a GPU.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

#include "engine/base/random.h"

namespace {

// 1. Memory decides, so the times should have the ratio of the passes.
bool passes() {
  const double array = 32.0 * 56 * 56 * 64 * 4;
  const int three = 2 + 3 + 2, one = 3;  // normalise: x, scratch; add: scratch, residual, y; relu: y, y
  std::printf("1. %.0f MB in three kernels, %.0f MB in one: the fused one should be %.2f times as fast\n",
              three * array * 1e-6, one * array * 1e-6, static_cast<double>(three) / one);
  return three * 3 == one * 7;
}

// 2. The root and the division, done once a channel:
//   y = relu(x a + b + residual)   with a = gamma / sqrt(var + eps) and b = beta - mean a
// It rounds differently, so the last digits differ; it is
// as near to the exact result as the first form.
bool scale_and_shift() {
  reprise::RandomStream stream(0, "tour/gpu/solution");
  double first_form = 0, second_form = 0;
  for (int i = 0; i < 10000; ++i) {
    const auto x = static_cast<float>(stream.uniform(-2, 2)),
               mean = static_cast<float>(stream.uniform(-1, 1)),
               var = static_cast<float>(stream.uniform(0.5, 2)),
               gamma = static_cast<float>(stream.uniform(0.5, 2)),
               beta = static_cast<float>(stream.uniform(-1, 1));
    const double exact = (static_cast<double>(x) - static_cast<double>(mean)) /
                             std::sqrt(static_cast<double>(var) + 1e-5) * static_cast<double>(gamma) +
                         static_cast<double>(beta);
    const float root = std::sqrt(var + 1e-5f), a = gamma / root, b = beta - mean * a;
    first_form =
        std::max(first_form, std::abs(static_cast<double>((x - mean) / root * gamma + beta) - exact));
    second_form = std::max(second_form, std::abs(static_cast<double>(x * a + b) - exact));
  }
  std::printf("2. largest error of (x - mean) / s * gamma + beta: %.1e; of x a + b: %.1e\n", first_form,
              second_form);
  return first_form < 2e-6 && second_form < 2e-6;
}

// 3. A grid-stride loop works for any number of blocks: each thread goes on
// in steps of the whole grid. Run on the host, it visits every element once.
bool grid_stride() {
  constexpr int count = 1000, blocks = 3, threads = 64;
  std::vector<int> visits(count);
  for (int block = 0; block < blocks; ++block)
    for (int thread = 0; thread < threads; ++thread)
      for (int i = block * threads + thread; i < count; i += blocks * threads)
        ++visits[static_cast<std::size_t>(i)];
  const bool once = std::all_of(visits.begin(), visits.end(), [](int v) { return v == 1; });
  std::printf("3. %d blocks of %d threads, %d elements: %s\n", blocks, threads, count,
              once ? "each visited once" : "not each visited once");
  return once;
}

}  // namespace

int main() {
  const bool done[] = {passes(), scale_and_shift(), grid_stride()};
  return done[0] && done[1] && done[2] ? 0 : 1;
}
