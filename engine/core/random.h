// Named, counted random streams: every draw is a function of (seed, purpose, index) and its place in the
// stream, so no draw depends on what else was drawn, or when.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/core/export.h"

namespace reprise {

// The counter-based generator Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC
// 2011).
class REPRISE_API RandomStream {
 public:
  RandomStream(std::uint64_t seed, std::string_view purpose, std::uint64_t index = 0);

  std::uint32_t bits();
  double uniform();                                       // [0, 1), 53 bits
  double uniform(double low, double high);                // [low, high)
  double normal();                                        // mean 0, variance 1 (Marsaglia's polar method)
  std::uint64_t below(std::uint64_t n);                   // 0..n-1 without bias; n > 0
  std::vector<std::int64_t> permutation(std::int64_t n);  // 0..n-1 shuffled (Fisher-Yates)

 private:
  void refill();
  std::uint32_t key_[2], counter_[4], block_[4];
  int used_ = 4;
};

}  // namespace reprise
