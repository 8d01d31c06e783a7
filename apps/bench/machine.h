// What this machine can do at most, measured: the denominators of every fraction that the benchmarks print.
#pragma once

#include "engine/kernels/cpu/isa.h"

namespace reprise::bench {

struct Machine {
  double flops =
      0;  // f32 multiply-adds of the chosen instruction set on all threads, two operations each, per second
  double bytes =
      0;  // a[i] = b[i] + s * c[i] over arrays far larger than the caches, bytes per second (12 a step)
};
// Takes about half a second.
Machine measure_machine();
double seconds_now();

}  // namespace reprise::bench

namespace reprise::kernels::cpu {

// Independent chains of fused multiply-adds in registers: `rounds` rounds of `chains` vectors.
struct PeakLeaf {
  int lanes, chains;
  float (*run)(std::int64_t rounds);
};
REPRISE_LEAF(PeakLeaf, peak_leaf)

}  // namespace reprise::kernels::cpu
