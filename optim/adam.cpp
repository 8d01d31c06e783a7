#include "engine/base/check.h"
#include "engine/ops/optimizer_steps.h"
#include "optim/optimizer.h"

namespace reprise::optim {

Adam::Adam(std::vector<Tensor> parameters, const AdamOptions& o, bool decoupled)
    : Optimizer(std::move(parameters), o.lr, {"m", "v"}), options_(o), decoupled_(decoupled) {
  REPRISE_CHECK(0 <= o.beta1 && o.beta1 < 1 && 0 <= o.beta2 && o.beta2 < 1,
                "Adam: the betas must be in [0,1), got {} and {}", o.beta1, o.beta2);
  REPRISE_CHECK(o.eps >= 0 && o.weight_decay >= 0,
                "Adam: eps and weight decay must not be negative, got {} and {}", o.eps, o.weight_decay);
}

void Adam::update(Slot& slot, const Tensor& gradient) {
  ops::adam_step(slot.parameter, gradient, slot.buffers[0], slot.buffers[1],
                 {.lr = lr(),
                  .beta1 = options_.beta1,
                  .beta2 = options_.beta2,
                  .eps = options_.eps,
                  .weight_decay = options_.weight_decay,
                  .decoupled = decoupled_,
                  .step = slot.steps});
}

}  // namespace reprise::optim
