#include "engine/base/check.h"
#include "optim/optimizer.h"

namespace reprise::optim {

Adam::Adam(std::vector<Tensor> parameters, const AdamOptions& o, bool decoupled)
    : Optimizer(std::move(parameters), o.lr, {"m", "v"}), options_(o), decoupled_(decoupled) {
  REPRISE_CHECK(0 <= o.beta1 && o.beta1 < 1 && 0 <= o.beta2 && o.beta2 < 1,
                "Adam: the betas must be in [0,1), got {} and {}", o.beta1, o.beta2);
  REPRISE_CHECK(o.eps >= 0 && o.weight_decay >= 0,
                "Adam: eps and weight decay must not be negative, got {} and {}", o.eps, o.weight_decay);
}

AdamArgs Adam::args() const {
  return {.beta1 = options_.beta1,
          .beta2 = options_.beta2,
          .eps = options_.eps,
          .weight_decay = options_.weight_decay,
          .decoupled = decoupled_,
          .penalty = penalty()};
}

Tensor Adam::rates(std::int64_t step) const {
  return ops::adam_rates(lr(), step, args());
}

void Adam::update(std::vector<ops::Update>& updates, const Tensor& rates) {
  ops::adam_step(updates, rates, args());
}

}  // namespace reprise::optim
