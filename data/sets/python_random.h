// CPython's `random` generator, as far as its shuffle needs it. Private to data/sets.
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <utility>

namespace reprise::data {

// random.seed(seed) and random.shuffle(list) of CPython 3: MT19937 (Matsumoto and Nishimura 1998) seeded by
// its init_by_array, numbers below n drawn as the top bits of a word until one fits.
class PythonRandom {
 public:
  explicit PythonRandom(std::uint32_t seed);

  // One of 0..n-1; n in 1..2^32-1.
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
