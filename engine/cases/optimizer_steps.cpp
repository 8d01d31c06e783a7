#include "engine/ops/optimizer_steps.h"

#include <cmath>

#include "engine/cases/cases.h"
#include "engine/ops/reduce.h"

namespace reprise::cases {
namespace {

// Adds the inputs of `tensors` parameters, the first of shape n, each further one a row longer.
// Every second parameter is penalised if the case names a norm. Values are never near 0.
PenaltyArgs updates(Case& c, const Params& p, std::initializer_list<const char*> buffers) {
  const Shape shape = p.shape("n");
  for (int k = 0; k < p.integer("tensors", 1); ++k) {
    const Shape longer = shape.with(0, shape[0] + k);
    const std::string number = std::to_string(k);
    c.distinct("parameter" + number, longer)
        .change([](double v) { return std::abs(v) < 0.001 ? 0.5 : v; })
        .constant();
    c.normal("gradient" + number, longer).constant();
    for (const char* name : buffers)
      if (std::string_view(name) == "v")
        c.uniform(name + number, longer, 0.001, 1).constant();
      else
        c.normal(name + number, longer).constant();
  }
  return {p.number("lambda", 0.1), norm_kind(p.word("norm", "l2"))};
}

// Runs a step on copies of the inputs; every second parameter is penalised if `penalised`.
template <class Step>
std::vector<Tensor> updated(const Inputs& in, std::size_t buffers, bool penalised, NormKind kind, Step step) {
  std::vector<ops::Update> updates;
  for (std::size_t i = 0; i < in.size(); i += 2 + buffers) {
    updates.push_back({in[i].clone(), in[i + 1], {}});
    for (std::size_t b = 0; b < buffers; ++b) updates.back().buffers.push_back(in[i + 2 + b].clone());
    if (penalised && updates.size() % 2 == 1)
      updates.back().norms = ops::norms_of({updates.back().parameter}, kind).each[0];
  }
  step(updates);
  std::vector<Tensor> results;
  for (const ops::Update& u : updates) {
    results.push_back(u.parameter);
    results.insert(results.end(), u.buffers.begin(), u.buffers.end());
  }
  return results;
}

void sgd(Case& c, const Params& p) {
  SgdArgs args{.momentum = p.number("momentum", 0),
               .dampening = p.number("dampening", 0),
               .weight_decay = p.number("decay", 0),
               .nesterov = p.integer("nesterov", 0) != 0};
  const std::size_t buffers = args.momentum != 0 ? 1 : 0;
  args.penalty = buffers == 1 ? updates(c, p, {"momentum"}) : updates(c, p, {});
  const Tensor rates = ops::sgd_rates(p.number("lr", 0.1), p.integer("first", 0) != 0);
  c.run = [args, rates, buffers, penalised = p.has("norm")](const Inputs& in) {
    return updated(in, buffers, penalised, args.penalty.kind, [&](std::vector<ops::Update>& updates) {
      ops::sgd_step(updates, rates.to(in[0].device()), args);
    });
  };
}

void adam(Case& c, const Params& p) {
  AdamArgs args{.weight_decay = p.number("decay", 0), .decoupled = p.integer("decoupled", 0) != 0};
  args.penalty = updates(c, p, {"m", "v"});
  const Tensor rates = ops::adam_rates(p.number("lr", 1e-3), p.integer("step", 1), args);
  c.run = [args, rates, penalised = p.has("norm")](const Inputs& in) {
    return updated(in, 2, penalised, args.penalty.kind, [&](std::vector<ops::Update>& updates) {
      ops::adam_step(updates, rates.to(in[0].device()), args);
    });
  };
}

}  // namespace

std::vector<OpCases> optimizer_steps_cases() {
  return {{"sgd_step",
           {"n=1 lr=0.1", "n=35 lr=0.1 decay=0.01", "n=67 lr=0.1 momentum=0.9 first=1",
            "n=1000 lr=0.1 momentum=0.9 dampening=0.3 decay=0.01",
            "n=35 lr=0.1 momentum=0.9 nesterov=1 decay=0.01", "n=5x3x7 tensors=4 norm=l2 decay=0.01",
            "n=2x3x7 tensors=3 norm=l1 momentum=0.9", "n=2x3x7 tensors=3 norm=l12 momentum=0.9",
            "n=3x2 tensors=300 norm=l2", "n=40000 lr=0.1 norm=l1"},
           sgd},
          {"adam_step",
           {"n=1", "n=35 step=2", "n=67 decay=0.01", "n=1000 step=100 decay=0.01 decoupled=1 lr=0.003",
            "n=5x3x7 tensors=4 norm=l2 step=3", "n=2x3x7 tensors=3 norm=l1", "n=2100 tensors=5 norm=l12"},
           adam}};
}

}  // namespace reprise::cases
