// Numbers: shows what float32 and bf16 hold, what the order of a sum changes, how to
// tell rounding from a bug, and how a result comes to depend on the number of threads.
#include <algorithm>
#include <bit>
#include <cstdio>
#include <set>

#include "apps/tour/sums.h"
#include "engine/base/parallel.h"
#include "engine/ops/ops.h"

using namespace reprise;
using tour::wide;

namespace {

bool all_true = true;
void claim(bool holds, const char* what) {
  if (!holds) std::printf("NOT TRUE HERE: %s\n", what);
  all_true = all_true && holds;
}

// Returns the bits of a bf16: the upper half of a float,
// rounded to the nearest, a tie to the even one.
std::uint16_t upper_half(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

void formats() {
  const float big = 16777216;  // 2^24
  std::printf("1. what is stored\n  0.1 in float32 is %.12f\n", wide(0.1f));
  std::printf("  2^24 + 1 in float32 is %.0f\n", wide(big + 1));
  for (const float x : {0.1f, 1.0f / 3, 3.14159265f, 257.0f})
    std::printf("  %-9.7g in bf16 is %.7g\n", wide(x), wide(to_float(to_bfloat16(x))));
  RandomStream random(/*seed=*/1, "tour/bits");
  bool same = true;
  for (int i = 0; i < 1'000'000; ++i) {
    const auto x = std::bit_cast<float>(random.bits());
    same = same && (std::isnan(x) || upper_half(x) == to_bfloat16(x).bits);
  }
  claim(big + 1 == big, "above 2^24 there are no odd floats");
  claim(same, "bf16 is a float's upper half, rounded");
}

void orders() {
  std::printf("\n2. one sum, several orders: how far from exact, in ulps\n");
  std::printf("%9s%12s%12s%12s%12s\n", "n", "forwards", "backwards", "in pairs", "ops::sum");
  for (const int n : {100, 10'000, 1'000'000}) {
    const std::vector<float> x = tour::uniform(n, 0, 1, "tour/sum");
    const double exact = tour::exactly(x), plain = tour::ulps(wide(tour::forwards(x.data(), n)), exact),
                 pairs = tour::ulps(wide(tour::in_pairs(x.data(), n)), exact),
                 engine = tour::ulps(ops::sum(tensor({n}, x)).item(), exact);
    std::printf("%9d%12.1f%12.1f%12.1f%12.1f\n", n, plain,
                tour::ulps(wide(tour::backwards(x.data(), n)), exact), pairs, engine);
    claim(pairs < 3 && engine < 3, "sums of sums stay near");
    claim(n < 1'000'000 || plain > 20, "a long plain sum drifts away");
  }
}

// Prints the errors of two correct programs and of one that forgets
// the last element; the second and the third in single and in double.
void rounding_or_bug() {
  std::printf("\n3. rounding or bug? error / sum of |products|, the worst of 50 inner products\n");
  std::printf("%9s%12s%12s%12s%12s%12s\n", "n", "engine f32", "halves f32", "halves f64", "bug f32",
              "bug f64");
  for (const int n : {64, 1024, 16384}) {
    const std::vector<float> xs = tour::uniform(50 * n, -1, 1, "tour/x"),
                             ws = tour::uniform(n, -1, 1, "tour/w");
    const Tensor y = ops::linear(tensor({50, n}, xs), tensor({1, n}, ws));
    double worst[5] = {};
    for (int row = 0; row < 50; ++row) {
      const float *x = xs.data() + row * n, *w = ws.data();
      const double results[5] = {
          y.rows(row, row + 1).item(),
          wide(tour::product<float>(x, w, 0, n / 2) + tour::product<float>(x, w, n / 2, n)),
          tour::product<double>(x, w, 0, n / 2) + tour::product<double>(x, w, n / 2, n),
          wide(tour::product<float>(x, w, 0, n - 1)), tour::product<double>(x, w, 0, n - 1)};
      double size = 0;
      for (int i = 0; i < n; ++i) size += wide(std::abs(x[i] * w[i]));
      for (int p = 0; p < 5; ++p)
        worst[p] = std::max(worst[p], std::abs(results[p] - tour::product<double>(x, w, 0, n)) / size);
    }
    std::printf("%9d", n);
    for (const double error : worst) std::printf("%12.1e", error);
    std::printf("\n");
    claim(worst[0] < 1e-6 && worst[1] < 1e-6, "both correct programs are near");
    claim(worst[2] < 1e-6 * worst[1], "in double, rounding is gone");
    claim(worst[4] > 0.5 * worst[3], "in double, a bug is still there");
  }
}

// Returns the sum of the chunks' sums. The length of a chunk decides the last digits.
float chunked_sum(const std::vector<float>& x, std::int64_t chunk) {
  const auto n = static_cast<std::int64_t>(x.size());
  std::vector<float> sums(static_cast<std::size_t>((n + chunk - 1) / chunk));
  parallel_for(n, chunk, [&](std::int64_t begin, std::int64_t end) {
    sums[static_cast<std::size_t>(begin / chunk)] = tour::forwards(x.data() + begin, end - begin);
  });
  return tour::forwards(sums.data(), static_cast<std::int64_t>(sums.size()));
}

void threads() {
  constexpr int n = 1'000'000;
  const std::vector<float> x = tour::uniform(n, -1, 1, "tour/threads");
  std::set<double> per_thread, fixed, engine;
  std::printf("\n4. threads   a chunk per thread   chunks of 4096   ops::sum\n");
  for (int count = 1; count <= 4; ++count) {
    set_thread_count(count);
    const double a = wide(chunked_sum(x, (n + count - 1) / count)), b = wide(chunked_sum(x, 4096)),
                 c = ops::sum(tensor({n}, x)).item();
    std::printf("%10d%21.4f%17.4f%11.4f\n", count, a, b, c);
    per_thread.insert(a);
    fixed.insert(b);
    engine.insert(c);
  }
  std::printf("     exact%21s%17s%11.4f\n", "", "", tour::exactly(x));
  set_thread_count(0);
  claim(per_thread.size() > 1, "chunks cut by the number of threads give several results");
  claim(fixed.size() == 1 && engine.size() == 1, "fixed chunks give one");
}

}  // namespace

int main() {
  formats();
  orders();
  rounding_or_bug();
  threads();
  return all_true ? 0 : 1;
}
