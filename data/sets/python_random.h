// CPython's random generator, as far as random.shuffle needs it. Private to data/sets.
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <utility>

namespace reprise::data {

// Computes random.seed(seed) and random.shuffle(list) as CPython 3 does. MT19937 (Matsumoto and
// Nishimura 1998) is seeded by its init_by_array. A number below n is the top bits of a word; words
// are taken until one fits.
class PythonRandom {
 public:
  explicit PythonRandom(std::uint32_t seed);

  // Returns a number from 0 to n-1, for n from 1 to 2^32-1.
  std::uint32_t below(std::uint32_t n);

  template <class T>
  void shuffle(std::span<T> list) {
    for (std::size_t i = list.size(); i-- > 1;)
      std::swap(list[i], list[below(static_cast<std::uint32_t>(i) + 1)]);
  }

 private:
  std::mt19937 words_;
};

}  // namespace reprise::data
