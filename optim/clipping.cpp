#include "optim/clipping.h"

#include <cmath>

#include "engine/autograd/autograd.h"
#include "engine/base/check.h"
#include "engine/ops/arithmetic.h"
#include "engine/ops/layout.h"
#include "engine/ops/reduce.h"

namespace reprise::optim {

double clip_gradients(const std::vector<Tensor>& parameters, double max_norm) {
  REPRISE_CHECK(max_norm > 0, "clip_gradients: the largest norm must be above 0, got {}", max_norm);
  std::vector<Tensor> norms;
  for (const Tensor& p : parameters)
    if (const Tensor g = grad(p); g.defined()) norms.push_back(ops::reshape(ops::norm(g, NormKind::l2), {1}));
  if (norms.empty()) return 0;
  const double norm = ops::norm(ops::concat(norms, 0), NormKind::l2).item(), scale = max_norm / (norm + 1e-6);
  REPRISE_CHECK(std::isfinite(norm), "clip_gradients: the gradients' norm is {}; see REPRISE_DEBUG", norm);
  for (const Tensor& p : parameters) {
    const Tensor g = grad(p);
    if (!g.defined() || scale >= 1) continue;
    clear_grad(p);
    backward(ops::affine(p, scale), g);  // leaves scale * g
  }
  return norm;
}

}  // namespace reprise::optim
