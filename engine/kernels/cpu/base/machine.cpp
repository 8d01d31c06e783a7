#include "engine/kernels/cpu/base/machine.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <vector>

#include "engine/base/parallel.h"
#include "engine/kernels/cpu/leaf/peak.h"

namespace reprise {

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Machine measure_machine() {
  Machine m;
  const auto& leaf = kernels::cpu::peak_leaf();
  const int threads = thread_count();
  constexpr std::int64_t rounds = 1'000'000;
  std::atomic<float> sink{0};
  for (int trial = 0; trial < 12; ++trial) {
    const double start = seconds_now();
    parallel_for(threads, 1, [&](std::int64_t, std::int64_t) { sink = leaf.run(rounds); });
    const double flop = 2.0 * leaf.lanes * leaf.chains * static_cast<double>(rounds) * threads;
    m.flops = std::max(m.flops, flop / (seconds_now() - start));
  }

  constexpr std::int64_t n = 16 << 20;  // 64 MiB an array
  std::vector<float> a(n), b(n, 1), c(n, 1);
  for (int trial = 0; trial < 15; ++trial) {
    const double start = seconds_now();
    parallel_for(n, 1 << 18, [&](std::int64_t begin, std::int64_t end) {
      float* to = a.data();
      const float *pb = b.data(), *pc = c.data();
      for (std::int64_t i = begin; i < end; ++i) to[i] = pb[i] + 3.0f * pc[i];
    });
    m.bytes = std::max(m.bytes, 12.0 * n / (seconds_now() - start));
  }
  return m;
}

}  // namespace reprise
