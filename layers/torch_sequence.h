// Start values as PyTorch samples them: from one generator, layer after layer.
#pragma once

#include <vector>

#include "engine/base/torch_random.h"
#include "layers/init.h"

namespace reprise::layers {

// Reproduces the order in which constructing a PyTorch network consumes the generator.
// Each layer samples its default, uniform values while it is constructed, in the order
// of the file layout. Networks with normal start values overwrite them once all layers exist:
// finish() does this, in the same order of layers.
// Uniform values have PyTorch's bits; normal values differ from PyTorch's by rounding.
class REPRISE_API TorchSequence {
 public:
  // Samples from `generator`, which must outlive this.
  // With with_values = false the generator advances by as many numbers, but no tensor is changed.
  explicit TorchSequence(TorchGenerator& generator, bool with_values = true)
      : generator_(generator), with_values_(with_values) {}

  // Fills `tensor` with uniform samples. For a normal `init` it skips the default samples
  // and remembers the tensor, which must live until finish().
  void sample(Tensor& tensor, FileLayout layout, Init init, Fans fans);
  // Skips the default samples of a layer that is then filled with constants.
  void skip(std::int64_t numel) { generator_.discard(numel); }
  // Fills the remembered tensors with normal samples.
  void finish();

 private:
  struct Normal {
    Tensor* tensor;
    FileLayout layout;
    double deviation;
  };

  TorchGenerator& generator_;
  const bool with_values_;
  std::vector<Normal> normal_;
};

}  // namespace reprise::layers
