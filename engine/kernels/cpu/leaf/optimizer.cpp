#include "engine/kernels/cpu/leaf/optimizer.h"

#include "engine/kernels/cpu/leaf/vec.h"

// Multiplications and additions as in ref, without FMA, so that all builds give the same bits.
namespace reprise::kernels::cpu::REPRISE_ISA {
namespace {

void sgd(const SgdNumbers& a, const float* grad, float* param, float* momentum, std::int64_t n) {
  for_vectors(n, [&](std::int64_t i, auto part) {
    const Vec w = load(param + i, part);
    Vec g = load(grad + i, part);
    if (a.has_decay) g += w * a.decay;
    if (a.has_momentum) {
      const Vec m = a.first ? g : load(momentum + i, part) * a.momentum + g * a.take;
      store(momentum + i, m, part);
      g = a.nesterov ? g + m * a.momentum : m;
    }
    store(param + i, w - g * a.lr, part);
  });
}

void adam(const AdamNumbers& a, const float* grad, float* param, float* m, float* v, std::int64_t n) {
  for_vectors(n, [&](std::int64_t i, auto part) {
    Vec w = load(param + i, part), g = load(grad + i, part);
    if (a.has_decay && a.decoupled) w *= a.shrink;
    if (a.has_decay && !a.decoupled) g += w * a.decay;
    Vec first = load(m + i, part);
    first += (g - first) * a.take1;
    const Vec second = load(v + i, part) * a.beta2 + g * a.take2 * g;
    store(m + i, first, part);
    store(v + i, second, part);
    store(param + i, w - first * a.rate / (square_root(second) / a.correction + a.eps), part);
  });
}

}  // namespace

extern const OptimizerLeaf optimizer_leaf;
const OptimizerLeaf optimizer_leaf{sgd, adam};

}  // namespace reprise::kernels::cpu::REPRISE_ISA
