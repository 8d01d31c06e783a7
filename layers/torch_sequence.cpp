#include "layers/torch_sequence.h"

#include <cmath>
#include <span>

#include "engine/base/check.h"

namespace reprise::layers {
namespace {

// Returns 1 / sqrt(fan_in) by torch.nn.init's formula for weights (kaiming_uniform_ with a =
// sqrt(5)) or for biases. The two results may differ by rounding.
double bound_of(Init init, Fans fans) {
  const double root = std::sqrt(static_cast<double>(fans.in)), a = std::sqrt(5.0);
  return init == Init::bias ? 1 / root : std::sqrt(3.0) * (std::sqrt(2 / (1 + a * a)) / root);
}

// Reorders values from the file's layout (O,I,R,S) to memory's (O,R,S,I); depthwise filters alike.
std::vector<float> turned(const Tensor& tensor, FileLayout layout, std::vector<float> values) {
  if (layout == FileLayout::plain) return values;
  REPRISE_INVARIANT(layout != FileLayout::images, "torch sequence: images have no start values");
  const std::size_t filters = layout == FileLayout::conv ? static_cast<std::size_t>(tensor.dim(0)) : 1;
  const auto channels = static_cast<std::size_t>(tensor.dim(-1));
  const std::size_t taps = values.size() / filters / channels;
  std::vector<float> result(values.size());
  for (std::size_t f = 0; f < filters; ++f)
    for (std::size_t c = 0; c < channels; ++c)
      for (std::size_t t = 0; t < taps; ++t)
        result[(f * taps + t) * channels + c] = values[(f * channels + c) * taps + t];
  return result;
}

void assign(Tensor& tensor, FileLayout layout, std::vector<float> values) {
  values = turned(tensor, layout, std::move(values));
  copy_into(
      tensor,
      reprise::tensor(tensor.shape(), std::span<const float>(values)).to(tensor.dtype()).to(tensor.device()));
}

}  // namespace

void TorchSequence::sample(Tensor& tensor, FileLayout layout, Init init, Fans fans) {
  const bool normal = init == Init::kaiming_normal_fan_in || init == Init::kaiming_normal_fan_out;
  if (normal) normal_.push_back({&tensor, layout, kaiming_deviation(init, fans)});
  if (normal || !with_values_) return generator_.discard(tensor.numel());
  std::vector<float> values(static_cast<std::size_t>(tensor.numel()));
  const double bound = bound_of(init, fans);
  generator_.uniform(values, -bound, bound);
  assign(tensor, layout, std::move(values));
}

void TorchSequence::finish() {
  for (const Normal& later : normal_) {
    if (!with_values_) {
      generator_.discard_normal(later.tensor->numel());
      continue;
    }
    std::vector<float> values(static_cast<std::size_t>(later.tensor->numel()));
    generator_.normal(values, 0, later.deviation);
    assign(*later.tensor, later.layout, std::move(values));
  }
  normal_.clear();
}

}  // namespace reprise::layers
