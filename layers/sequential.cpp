#include "layers/sequential.h"

namespace reprise::layers {

Tensor Sequential::forward(const Tensor& x) {
  Tensor y = x;
  for (Module* m : sequence_) y = (*m)(y);
  return y;
}

}  // namespace reprise::layers
