#include "engine/ops/optimizer_steps.h"

#include "engine/cases/cases.h"

namespace reprise::cases {
namespace {

void sgd(Case& c, const Params& p) {
  const SgdArgs args{.lr = p.number("lr", 0.1),
                     .momentum = p.number("momentum", 0),
                     .dampening = p.number("dampening", 0),
                     .weight_decay = p.number("decay", 0),
                     .nesterov = p.integer("nesterov", 0) != 0,
                     .first = p.integer("first", 0) != 0};
  for (const char* name : {"parameter", "gradient", "momentum"})
    c.normal(name, {p.integer("n", 1)}).constant();
  c.run = [args](const Inputs& in) {
    Tensor parameter = in[0].clone(), momentum = args.momentum != 0 ? in[2].clone() : Tensor();
    ops::sgd_step(parameter, in[1], momentum, args);
    return momentum.defined() ? std::vector{parameter, momentum} : std::vector{parameter};
  };
}

void adam(Case& c, const Params& p) {
  const AdamArgs args{.lr = p.number("lr", 1e-3),
                      .weight_decay = p.number("decay", 0),
                      .decoupled = p.integer("decoupled", 0) != 0,
                      .step = p.integer("step", 1)};
  for (const char* name : {"parameter", "gradient", "m"}) c.normal(name, {p.integer("n", 1)}).constant();
  c.uniform("v", {p.integer("n", 1)}, 0.001, 1).constant();
  c.run = [args](const Inputs& in) {
    Tensor parameter = in[0].clone(), m = in[2].clone(), v = in[3].clone();
    ops::adam_step(parameter, in[1], m, v, args);
    return std::vector{parameter, m, v};
  };
}

}  // namespace

std::vector<OpCases> optimizer_steps_cases() {
  return {{"sgd_step",
           {"n=1 lr=0.1", "n=35 lr=0.1 decay=0.01", "n=67 lr=0.1 momentum=0.9 first=1",
            "n=1000 lr=0.1 momentum=0.9 dampening=0.3 decay=0.01",
            "n=35 lr=0.1 momentum=0.9 nesterov=1 decay=0.01"},
           sgd},
          {"adam_step",
           {"n=1", "n=35 step=2", "n=67 decay=0.01", "n=1000 step=100 decay=0.01 decoupled=1 lr=0.003"},
           adam}};
}

}  // namespace reprise::cases
