// Start values of parameters: the distributions that PyTorch draws from, and where the numbers come from.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "engine/core/file_layout.h"
#include "engine/core/tensor.h"

namespace reprise::layers {

// kaiming_uniform: PyTorch's default for convolutions and linear layers, uniform in +-1/sqrt(fan_in).
// kaiming_normal_*: normal with standard deviation sqrt(2 / fan) (He et al., 2015).
// bias: the default for biases, which is that for weights.
enum class Init : std::uint8_t { kaiming_uniform, kaiming_normal_fan_in, kaiming_normal_fan_out, bias };

// fan: how many numbers go into one output (in), and out of one input (out).
struct Fans {
  std::int64_t in = 1, out = 1;
};
double kaiming_deviation(Init init, Fans fans);

class TorchSequence;

// Where start values come from: a tensor's stream is (seed, "init/<prefix><its name>"), so no draw depends on
// another. A plain seed is one without a prefix. Or from PyTorch's sequence, where names mean nothing.
struct InitStreams {
  InitStreams(std::uint64_t s, std::string p = {}) : seed(s), prefix(std::move(p)) {}
  InitStreams(TorchSequence& sequence) : torch(&sequence) {}
  std::uint64_t seed = 0;
  std::string prefix;
  TorchSequence* torch = nullptr;
};

// Fills the tensor, which files order like `layout`: from its stream, in memory order.
REPRISE_API void draw(Tensor& tensor, FileLayout layout, Init init, Fans fans, const InitStreams& streams,
                      const std::string& name);
// For a layer of so many numbers that starts with constants: nothing, but PyTorch's users draw its default
// init before they fill it.
REPRISE_API void draw_constants(std::int64_t numel, const InitStreams& streams);

}  // namespace reprise::layers
