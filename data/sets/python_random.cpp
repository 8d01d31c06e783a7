#include "data/sets/python_random.h"

#include <algorithm>
#include <array>
#include <bit>

namespace reprise::data {
namespace {

// A seed sequence that gives std::mt19937 the state of init_by_array({key}), from the paper's code:
// std::mt19937 takes 624 words from a seed sequence and keeps them unchanged.
class InitByArray {
 public:
  using result_type = std::uint_least32_t;

  explicit InitByArray(std::uint32_t key) {
    constexpr std::uint32_t n = 624;
    state_[0] = 19650218;
    for (std::uint32_t i = 1; i < n; ++i) state_[i] = 1812433253U * mixed(i - 1) + i;
    std::uint32_t i = 1;
    const auto step = [&] {
      if (++i < n) return;
      state_[0] = state_[n - 1];
      i = 1;
    };
    for (std::uint32_t k = 0; k < n; ++k, step()) state_[i] = (state_[i] ^ mixed(i - 1) * 1664525U) + key;
    for (std::uint32_t k = 1; k < n; ++k, step()) state_[i] = (state_[i] ^ mixed(i - 1) * 1566083941U) - i;
    state_[0] = 0x80000000U;
  }

  template <class Iterator>
  void generate(Iterator begin, Iterator end) const {
    std::copy_n(state_.begin(), end - begin, begin);
  }

 private:
  std::uint32_t mixed(std::uint32_t i) const { return state_[i] ^ state_[i] >> 30; }
  std::array<std::uint32_t, 624> state_{};
};

std::mt19937 seeded(std::uint32_t seed) {
  InitByArray state(seed);
  return std::mt19937(state);
}

}  // namespace

PythonRandom::PythonRandom(std::uint32_t seed) : words_(seeded(seed)) {}

std::uint32_t PythonRandom::below(std::uint32_t n) {
  const int bits = std::bit_width(n);
  for (;;)
    if (const auto word = static_cast<std::uint32_t>(words_() >> (32 - bits)); word < n) return word;
}

}  // namespace reprise::data
