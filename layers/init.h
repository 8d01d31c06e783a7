// Start values of parameters: PyTorch's distributions, and the source of the random numbers.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "engine/core/file_layout.h"
#include "engine/core/tensor.h"

namespace reprise::layers {

// The distribution of a parameter's start values:
//   kaiming_uniform   uniform in +-1/sqrt(fan_in), PyTorch's default for weights
//   kaiming_normal_*  normal with standard deviation sqrt(2/fan) (He et al., 2015)
//   bias              uniform in +-1/sqrt(fan_in), PyTorch's default for biases
enum class Init : std::uint8_t { kaiming_uniform, kaiming_normal_fan_in, kaiming_normal_fan_out, bias };

// The number of inputs that one output depends on (in),
// and of outputs that one input reaches (out).
struct Fans {
  std::int64_t in = 1, out = 1;
};
// Returns sqrt(2/fan): with fan_out for kaiming_normal_fan_out, else with fan_in.
double kaiming_deviation(Init init, Fans fans);

class TorchSequence;

// The source of start values, one of two:
// - A random stream per tensor, RandomStream(seed, "init/<prefix><name of the tensor>"), so that no
//   tensor's values depend on another tensor. An integer converts to a seed without a prefix.
// - PyTorch's single sequence, in which only the order of the tensors counts; it must outlive this.
struct InitStreams {
  InitStreams(std::uint64_t s, std::string p = {}) : seed(s), prefix(std::move(p)) {}
  InitStreams(TorchSequence& sequence) : torch(&sequence) {}
  std::uint64_t seed = 0;
  std::string prefix;
  TorchSequence* torch = nullptr;
};

// Fills `tensor` with samples of `init`: in memory's order from the stream of `name`,
// or in the file's order (`layout`) from PyTorch's sequence. With the latter, normal values are
// written only by TorchSequence::finish: `tensor` must live until then.
REPRISE_API void sample(Tensor& tensor, FileLayout layout, Init init, Fans fans, const InitStreams& streams,
                        const std::string& name);
// Skips `numel` samples of PyTorch's sequence; does nothing with named streams. A layer that starts
// with constants calls it, because PyTorch samples default values before a program overwrites them.
REPRISE_API void skip_samples(std::int64_t numel, const InitStreams& streams);

}  // namespace reprise::layers
