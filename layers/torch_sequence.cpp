#include "layers/torch_sequence.h"

#include <cmath>

#include "layers/file_layout.h"

namespace reprise::layers {
namespace {

// Returns 1 / sqrt(fan_in) by torch.nn.init's formula for weights (kaiming_uniform_ with a =
// sqrt(5)) or for biases. The two results may differ by rounding.
double bound_of(Init init, Fans fans) {
  const double root = std::sqrt(static_cast<double>(fans.in)), a = std::sqrt(5.0);
  return init == Init::bias ? 1 / root : std::sqrt(3.0) * (std::sqrt(2 / (1 + a * a)) / root);
}

// Takes the values in the file's order.
void assign(Tensor& tensor, FileLayout layout, const std::vector<float>& values) {
  const Tensor file = reprise::tensor(file_shape(tensor.shape(), layout), values);
  copy_into(tensor, from_file_layout(file, layout).to(tensor.dtype()).to(tensor.device()));
}

}  // namespace

void TorchSequence::sample(Tensor& tensor, FileLayout layout, Init init, Fans fans) {
  const bool normal = init == Init::kaiming_normal_fan_in || init == Init::kaiming_normal_fan_out;
  if (normal) normal_.push_back({&tensor, layout, kaiming_deviation(init, fans)});
  if (normal || !with_values_) return generator_.discard(tensor.numel());
  std::vector<float> values(static_cast<std::size_t>(tensor.numel()));
  const double bound = bound_of(init, fans);
  generator_.uniform(values, -bound, bound);
  assign(tensor, layout, values);
}

void TorchSequence::finish() {
  for (const Normal& later : normal_) {
    if (!with_values_) {
      generator_.discard_normal(later.tensor->numel());
      continue;
    }
    std::vector<float> values(static_cast<std::size_t>(later.tensor->numel()));
    generator_.normal(values, 0, later.deviation);
    assign(*later.tensor, later.layout, values);
  }
  normal_.clear();
}

}  // namespace reprise::layers
