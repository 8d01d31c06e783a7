#include "engine/ops/batch_norm.h"

#include "engine/cases/cases.h"

namespace reprise::cases {
namespace {

Shape statistics(const Params& p) {
  return {p.shape("x")[-1]};
}

const OpCases batch_norm("batch_norm",
                         {
                             "x=2x7x5x1",
                             "x=2x7x5x3",
                             "x=3x5x4x35",
                             "x=5x35",     // no pixels
                             "x=2x1x1x3",  // two values per channel
                             "x=6x5x4x3",
                             "x=3x3x7x35",
                             "x=2x7x5x19 eps=0.1",
                             "x=7x24",                // vectors of channels
                             "x=2x7x5x3 shift=1000",  // the mean is far larger than the deviation
                             "x=2x28x28x64",          // real networks
                             "x=3x14x14x256",
                             "x=4x7x7x512",
                         },
                         [](Case& c, const Params& p) {
                           BatchNormArgs args;
                           args.eps = p.number("eps", 1e-5);
                           const double shift = p.number("shift", 0);
                           Input& x = c.normal("x", p.shape("x"));
                           for (std::int64_t i = 0; i < x.value.numel(); ++i)
                             x.value.mutable_data<double>()[i] =
                                 static_cast<double>(static_cast<float>(x.value.data<double>()[i] + shift));
                           c.uniform("gamma", statistics(p), 0.5, 2).as_parameter();
                           c.normal("beta", statistics(p)).as_parameter();
                           c.bf16_roundings = 1;
                           c.run = [args](const std::vector<Tensor>& in) {
                             const auto [y, mean, var] = ops::batch_norm(in[0], in[1], in[2], args);
                             return std::vector{y, mean, var};
                           };
                           // A float near 1000 is exact to 6e-5 only.
                           c.tolerance = shift != 0 ? 1e-4 : 2e-6;
                           // With two values a channel the gradient's terms nearly cancel.
                           if (p.shape("x").numel() == 2 * p.shape("x")[-1]) c.terms = 1;
                         });

const OpCases batch_norm_eval("batch_norm_eval",
                              {
                                  "x=2x7x5x1",
                                  "x=2x7x5x3",
                                  "x=3x5x4x35",
                                  "x=5x35",
                                  "x=1x1x1x3",
                                  "x=6x5x4x3",
                                  "x=3x3x7x35",
                                  "x=2x28x28x64",
                                  "x=3x14x14x256",
                              },
                              [](Case& c, const Params& p) {
                                c.normal("x", p.shape("x"));
                                c.normal("mean", statistics(p)).as_parameter().constant();
                                c.uniform("var", statistics(p), 0.25, 4).as_parameter().constant();
                                c.uniform("gamma", statistics(p), 0.5, 2).as_parameter();
                                c.normal("beta", statistics(p)).as_parameter();
                                c.bf16_roundings = 1;
                                c.run = [](const std::vector<Tensor>& in) {
                                  return std::vector{ops::batch_norm_eval(in[0], in[1], in[2], in[3], in[4])};
                                };
                                c.tolerance = 2e-6;
                              });

const OpCases update("update_running_stats", {"c=1 count=2", "c=35 count=100", "c=3 count=7 momentum=0.25"},
                     [](Case& c, const Params& p) {
                       const Shape shape{p.integer("c", 1)};
                       const int count = p.integer("count", 2);
                       BatchNormArgs args;
                       args.momentum = p.number("momentum", 0.1);
                       c.normal("mean", shape).constant();
                       c.uniform("var", shape, 0.25, 4).constant();
                       c.normal("running mean", shape).constant();
                       c.uniform("running var", shape, 0.25, 4).constant();
                       c.run = [count, args](const std::vector<Tensor>& in) {
                         Tensor mean = in[2].clone(), var = in[3].clone();
                         ops::update_running_stats({Tensor(), in[0], in[1]}, count, mean, var, args);
                         return std::vector{mean, var};
                       };
                     });

}  // namespace

std::vector<OpCases> batch_norm_cases() {
  return {batch_norm, batch_norm_eval, update};
}

}  // namespace reprise::cases
