// The random numbers of PyTorch's CPU generator, for those who lay a run beside one of PyTorch.
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

// A sequence, in which every draw depends on all before it (RandomStream is what this project uses where
// nobody asks for PyTorch's numbers). MT19937 (Matsumoto and Nishimura, 1998), used as PyTorch 2 uses it
// where its build has fused multiply-add: AVX2 and AVX-512. A draw is 32 bits.
class REPRISE_API TorchGenerator {
 public:
  explicit TorchGenerator(std::uint64_t seed);  // torch.manual_seed; its lower 32 bits count

  std::uint32_t bits() { return static_cast<std::uint32_t>(engine_()); }  // 1 draw
  std::uint64_t bits64();                                                 // 2 draws, the upper half first
  // torch.empty((), dtype=torch.int64).random_(): 63 bits, 2 draws.
  std::uint64_t random_seed() { return bits64() & ~(std::uint64_t{1} << 63); }
  // Tensor.uniform_ in f32: [low, high), multiples of 2^-24 scaled. A draw a value. The same bits as
  // PyTorch's.
  void uniform(std::span<float> values, double low, double high);
  // Tensor.normal_ in f32 (Box and Muller, 1958). The same draws as PyTorch's; the values differ from its own
  // by the rounding of its vectorised logarithm and sine.
  void normal(std::span<float> values, double mean, double deviation);
  // torch.randperm(n): n - 1 draws. Error from 2^32 / 20 upward, where PyTorch draws otherwise.
  std::vector<std::int64_t> permutation(std::int64_t n);

  void discard(std::int64_t draws) { engine_.discard(static_cast<unsigned long long>(draws)); }
  void discard_normal(std::int64_t n);  // what normal() of n values draws

  // Where the sequence stands, as decimal numbers; and back. Error if the text is damaged.
  std::string state() const;
  static TorchGenerator from_state(std::string_view state);

  bool operator==(const TorchGenerator&) const = default;

 private:
  double small_normal();
  std::mt19937 engine_;
  std::optional<double> second_normal_;  // fewer than 16 come in pairs; one may be left over
};

}  // namespace reprise
