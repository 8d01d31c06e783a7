#include "engine/base/check.h"
#include "optim/optimizer.h"

namespace reprise::optim {

Sgd::Sgd(std::vector<Tensor> parameters, const SgdOptions& o)
    : Optimizer(std::move(parameters), o.lr,
                o.momentum != 0 ? std::vector<std::string>{"momentum"} : std::vector<std::string>{}),
      options_(o) {
  REPRISE_CHECK(o.momentum >= 0 && o.weight_decay >= 0,
                "SGD: momentum and weight decay must not be negative, got {} and {}", o.momentum,
                o.weight_decay);
  REPRISE_CHECK(!o.nesterov || (o.momentum > 0 && o.dampening == 0),
                "SGD: Nesterov needs momentum > 0 and dampening 0, got {} and {}", o.momentum, o.dampening);
}

Tensor Sgd::rates(std::int64_t step) const {
  return ops::sgd_rates(lr(), step == 1);
}

void Sgd::update(std::vector<ops::Update>& updates, const Tensor& rates) {
  ops::sgd_step(updates, rates,
                {.momentum = options_.momentum,
                 .dampening = options_.dampening,
                 .weight_decay = options_.weight_decay,
                 .nesterov = options_.nesterov,
                 .penalty = penalty()});
}

}  // namespace reprise::optim
