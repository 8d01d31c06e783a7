// Named, counted random streams: every number is a function of (seed, purpose, index) and its
// position in the stream. So no number depends on what other streams have sampled, or when.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/base/export.h"

namespace reprise {

// Computes four random words from a counter and a key, with the generator Philox4x32-10
// (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
REPRISE_API std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                                std::array<std::uint32_t, 2> key);

// A stream of Philox words: seed and purpose give the key, the index is the counter's upper half.
class REPRISE_API RandomStream {
 public:
  RandomStream(std::uint64_t seed, std::string_view purpose, std::uint64_t index = 0);

  std::uint32_t bits();                                   // the next 32 bits
  double uniform();                                       // [0, 1), 53 bits
  double uniform(double low, double high);                // [low, high)
  double normal();                                        // mean 0, variance 1 (Marsaglia's polar method)
  std::uint64_t below(std::uint64_t n);                   // 0..n-1 without bias; n > 0
  std::vector<std::int64_t> permutation(std::int64_t n);  // 0..n-1 shuffled (Fisher-Yates)

 private:
  void refill();
  std::array<std::uint32_t, 2> key_{};
  std::array<std::uint32_t, 4> counter_, block_{};
  std::size_t used_ = 4;
};

}  // namespace reprise
