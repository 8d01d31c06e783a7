// Start values of parameters, as PyTorch draws them (the distribution, not the very numbers).
#pragma once

#include <cstdint>
#include <string>

#include "engine/core/tensor.h"

namespace reprise::layers {

// kaiming_uniform: PyTorch's default for convolutions and linear layers, uniform in +-1/sqrt(fan_in).
// kaiming_normal_*: normal with standard deviation sqrt(2 / fan) (He et al., 2015).
enum class Init : std::uint8_t { kaiming_uniform, kaiming_normal_fan_in, kaiming_normal_fan_out };

// fan: how many numbers go into one output (in), and out of one input (out).
struct Fans {
  std::int64_t in = 1, out = 1;
};

// Fills the tensor, in memory order, from the stream (seed, "init/<name>").
REPRISE_API void draw(Tensor& tensor, Init init, Fans fans, std::uint64_t seed, const std::string& name);

}  // namespace reprise::layers
