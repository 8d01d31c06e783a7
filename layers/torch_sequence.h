// Start values drawn as PyTorch draws them, one after the other.
#pragma once

#include <vector>

#include "engine/base/torch_random.h"
#include "layers/init.h"

namespace reprise::layers {

// Each layer draws its default init when its turn comes, in the order of its file layout; where the network's
// constructor draws normal values over them, it does so when all layers are there (finish), in the same
// order. Uniform values have PyTorch's bits; normal ones differ from its own by rounding.
class REPRISE_API TorchSequence {
 public:
  // Draws from the generator, which outlives this. Without values the draws are counted alone, and the
  // tensors stay as they are.
  explicit TorchSequence(TorchGenerator& generator, bool with_values = true)
      : generator_(generator), with_values_(with_values) {}

  void draw(Tensor& tensor, FileLayout layout, Init init, Fans fans);
  // A layer of so many numbers that is made with its default init and then filled with constants.
  void constants(std::int64_t numel) { generator_.discard(numel); }
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
