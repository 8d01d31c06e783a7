#include "optim/penalties.h"

#include "engine/base/check.h"
#include "engine/ops/arithmetic.h"
#include "engine/ops/reduce.h"

namespace reprise::optim {

Tensor penalty(const std::vector<Tensor>& tensors, NormKind kind) {
  REPRISE_CHECK(!tensors.empty(), "penalty: at least one tensor is needed, got none");
  Tensor total = ops::norm(tensors[0], kind);
  for (std::size_t i = 1; i < tensors.size(); ++i) total = ops::add(total, ops::norm(tensors[i], kind));
  return total;
}

}  // namespace reprise::optim
