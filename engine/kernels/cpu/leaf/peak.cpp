#include "engine/kernels/cpu/leaf/peak.h"

#include "engine/kernels/cpu/leaf/vec.h"

namespace reprise::kernels::cpu::REPRISE_ISA {
namespace {

constexpr int chains = lanes == 16 ? 24 : 12;  // enough to hide the latency, few enough for the registers

float run(std::int64_t rounds) {
  Vec sums[chains];
  const Vec a = broadcast(0.5f), b = broadcast(1.0f);
#pragma GCC unroll 24
  for (int i = 0; i < chains; ++i) sums[i] = broadcast(static_cast<float>(i));
  for (std::int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 24
    for (int i = 0; i < chains; ++i) sums[i] = fma(sums[i], a, b);
  }
  Vec total{};
#pragma GCC unroll 24
  for (int i = 0; i < chains; ++i) total = total + sums[i];
  return total[0];
}

}  // namespace

extern const PeakLeaf peak_leaf;
const PeakLeaf peak_leaf{lanes, chains, run};

}  // namespace reprise::kernels::cpu::REPRISE_ISA
