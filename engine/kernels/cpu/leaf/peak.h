// Pure arithmetic, to measure the machine's limit (../base/machine.h).
#pragma once

#include "engine/kernels/cpu/base/isa.h"

namespace reprise::kernels::cpu {

// run() computes `rounds` multiply-adds in each of `chains` independent chains of vectors.
struct PeakLeaf {
  int lanes, chains;
  float (*run)(std::int64_t rounds);
};
REPRISE_LEAF(PeakLeaf, peak_leaf)

}  // namespace reprise::kernels::cpu
