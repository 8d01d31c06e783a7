// Arithmetic alone, to measure how fast it can be.
#pragma once

#include "engine/kernels/cpu/base/isa.h"

namespace reprise::kernels::cpu {

// Independent chains of fused multiply-adds in registers: `rounds` rounds of `chains` vectors.
struct PeakLeaf {
  int lanes, chains;
  float (*run)(std::int64_t rounds);
};
REPRISE_LEAF(PeakLeaf, peak_leaf)

}  // namespace reprise::kernels::cpu
