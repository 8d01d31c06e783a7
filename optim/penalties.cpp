#include "optim/penalties.h"

#include "engine/ops/reduce.h"

namespace reprise::optim {

Tensor penalty(const std::vector<Tensor>& tensors, NormKind kind) {
  return ops::norm(tensors, kind);
}

}  // namespace reprise::optim
