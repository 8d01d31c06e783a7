// Start values of parameters, as PyTorch draws them (the distribution, not the very numbers).
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "engine/core/tensor.h"

namespace reprise::layers {

// kaiming_uniform: PyTorch's default for convolutions and linear layers, uniform in +-1/sqrt(fan_in).
// kaiming_normal_*: normal with standard deviation sqrt(2 / fan) (He et al., 2015).
enum class Init : std::uint8_t { kaiming_uniform, kaiming_normal_fan_in, kaiming_normal_fan_out };

// fan: how many numbers go into one output (in), and out of one input (out).
struct Fans {
  std::int64_t in = 1, out = 1;
};

// Where start values come from: a tensor's stream is (seed, "init/<prefix><its name>"). A plain seed is one
// without a prefix.
struct InitStreams {
  InitStreams(std::uint64_t s, std::string p = {}) : seed(s), prefix(std::move(p)) {}
  std::uint64_t seed;
  std::string prefix;
};

// Fills the tensor, in memory order, from its stream.
REPRISE_API void draw(Tensor& tensor, Init init, Fans fans, const InitStreams& streams,
                      const std::string& name);

}  // namespace reprise::layers
