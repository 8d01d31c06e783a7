#include "optim/penalties.h"

#include "engine/base/check.h"
#include "engine/ops/reduce.h"

namespace reprise::optim {

Tensor penalty(const std::vector<Tensor>& tensors, NormKind kind) {
  REPRISE_CHECK(!tensors.empty(), "penalty: at least one tensor is needed, got none");
  return ops::norm(tensors, kind);
}

}  // namespace reprise::optim
