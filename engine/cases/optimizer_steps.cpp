#include "engine/ops/optimizer_steps.h"

#include "tests/ops/cases.h"

namespace reprise::testing {
namespace {

const OpCases sgd("sgd_step",
                  {"n=1 lr=0.1", "n=35 lr=0.1 decay=0.01", "n=67 lr=0.1 momentum=0.9 first=1",
                   "n=1000 lr=0.1 momentum=0.9 dampening=0.3 decay=0.01",
                   "n=35 lr=0.1 momentum=0.9 nesterov=1 decay=0.01"},
                  [](Case& c, const Params& p) {
                    SgdArgs args;
                    args.lr = p.number("lr", 0.1);
                    args.momentum = p.number("momentum", 0);
                    args.dampening = p.number("dampening", 0);
                    args.weight_decay = p.number("decay", 0);
                    args.nesterov = p.integer("nesterov", 0) != 0;
                    args.first = p.integer("first", 0) != 0;
                    const Shape shape{p.integer("n", 1)};
                    for (const char* name : {"parameter", "gradient", "momentum"})
                      c.normal(name, shape).constant();
                    c.run = [args](const std::vector<Tensor>& in) {
                      Tensor parameter = in[0].clone(),
                             momentum = args.momentum != 0 ? in[2].clone() : Tensor();
                      ops::sgd_step(parameter, in[1], momentum, args);
                      return momentum.defined() ? std::vector{parameter, momentum} : std::vector{parameter};
                    };
                  });

const OpCases adam("adam_step",
                   {"n=1", "n=35 step=2", "n=67 decay=0.01",
                    "n=1000 step=100 decay=0.01 decoupled=1 lr=0.003"},
                   [](Case& c, const Params& p) {
                     AdamArgs args;
                     args.lr = p.number("lr", 1e-3);
                     args.weight_decay = p.number("decay", 0);
                     args.decoupled = p.integer("decoupled", 0) != 0;
                     args.step = p.integer("step", 1);
                     const Shape shape{p.integer("n", 1)};
                     for (const char* name : {"parameter", "gradient", "m"}) c.normal(name, shape).constant();
                     c.uniform("v", shape, 0.001, 1).constant();
                     c.run = [args](const std::vector<Tensor>& in) {
                       Tensor parameter = in[0].clone(), m = in[2].clone(), v = in[3].clone();
                       ops::adam_step(parameter, in[1], m, v, args);
                       return std::vector{parameter, m, v};
                     };
                   });

}  // namespace
}  // namespace reprise::testing
