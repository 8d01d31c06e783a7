// The random numbers of PyTorch's CPU generator, for comparing a run with PyTorch's.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/export.h"

namespace reprise {

// MT19937 (Matsumoto and Nishimura, 1998), used as PyTorch 2 uses it on AVX2 and AVX-512, where its
// build has fused multiply-add. It is one sequence of 32-bit words, and every number depends on how
// many words were taken before. Use RandomStream unless you need PyTorch's numbers.
class REPRISE_API TorchGenerator {
 public:
  explicit TorchGenerator(std::uint64_t seed);  // as torch.manual_seed; uses the lower 32 bits

  std::uint32_t bits() { return static_cast<std::uint32_t>(engine_()); }  // 1 word
  std::uint64_t bits64();                                                 // 2 words, upper half first
  // As torch.empty((), dtype=torch.int64).random_(): 63 bits from 2 words.
  std::uint64_t random_seed() { return bits64() & ~(std::uint64_t{1} << 63); }
  // As Tensor.uniform_ in f32, with the same bits: in [low, high), from 24 bits of one word each.
  void uniform(std::span<float> values, double low, double high);
  // As Tensor.normal_ in f32 (Box and Muller, 1958), from PyTorch's words.
  // Values differ from PyTorch's by the rounding of its vectorised logarithm and sine.
  void normal(std::span<float> values, double mean, double deviation);
  // As torch.randperm(n): n - 1 words. Throws Error from n = 2^32 / 20 on, where PyTorch differs.
  std::vector<std::int64_t> permutation(std::int64_t n);

  void discard(std::int64_t words) { engine_.discard(static_cast<unsigned long long>(words)); }
  void discard_normal(std::int64_t n);  // skips the words that normal() takes for n values

  // The position in the sequence as decimal numbers, and back. Throws Error if the text is damaged.
  std::string state() const;
  static TorchGenerator from_state(std::string_view state);

  bool operator==(const TorchGenerator&) const = default;

 private:
  double small_normal();
  std::mt19937 engine_;
  std::optional<double> second_normal_;  // the unused number of small_normal()'s last pair
};

}  // namespace reprise
