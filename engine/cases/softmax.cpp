#include "engine/ops/softmax.h"

#include "engine/cases/cases.h"

namespace reprise::cases {
namespace {

const std::vector<std::string> shapes{"x=1x1",
                                      "x=2x3",
                                      "x=7x35",
                                      "x=5x10 shift=1000",  // exp(x) overflows
                                      "x=3x17 scale=100",
                                      "x=32x200"};

void logits(Case& c, const Params& p) {
  const double scale = p.number("scale", 1), shift = p.number("shift", 0);
  Input& x = c.normal("x", p.shape("x"));
  for (std::int64_t i = 0; i < x.value.numel(); ++i) {
    double& v = x.value.mutable_data<double>()[i];
    v = static_cast<double>(static_cast<float>(v * scale + shift));
  }
  c.tolerance = 2e-6;
  if (scale > 1) c.terms = 1;  // dy - sum dy y cancels where y is near 1
}

const OpCases softmax("softmax", shapes, [](Case& c, const Params& p) {
  logits(c, p);
  c.run = [](const std::vector<Tensor>& in) { return std::vector{ops::softmax(in[0])}; };
});
const OpCases log_softmax("log_softmax", shapes, [](Case& c, const Params& p) {
  logits(c, p);
  c.run = [](const std::vector<Tensor>& in) { return std::vector{ops::log_softmax(in[0])}; };
});

const OpCases cross_entropy("cross_entropy",
                            {"x=1x1", "x=2x3", "x=7x35", "x=5x10 shift=1000", "x=3x17 scale=100", "x=9x35",
                             "x=32x200"},
                            [](Case& c, const Params& p) {
                              logits(c, p);
                              c.labels("labels", p.shape("x")[0], p.shape("x")[1]);
                              c.run = [](const std::vector<Tensor>& in) {
                                return std::vector{ops::cross_entropy(in[0], in[1])};
                              };
                            });

const OpCases smoothed("cross_entropy_smoothed", {"x=2x3", "x=7x35", "x=32x200 s=0.5"},
                       [](Case& c, const Params& p) {
                         logits(c, p);
                         c.labels("labels", p.shape("x")[0], p.shape("x")[1]);
                         c.calls([s = p.number("s", 0.1)](const Inputs& in) {
                           return ops::cross_entropy(in[0], in[1], s);
                         });
                       });

// With fill=int there are few different values: the first largest of a row counts.
const OpCases argmax_rows("argmax_rows", {"x=1x1", "x=5x3 fill=int", "x=40x7 fill=int", "x=9x35", "x=3x200"},
                          [](Case& c, const Params& p) {
                            logits(c, p);
                            c.inputs[0].constant();
                            c.run = [](const std::vector<Tensor>& in) {
                              return std::vector{ops::argmax_rows(in[0])};
                            };
                          });

}  // namespace

std::vector<OpCases> softmax_cases() {
  return {softmax, log_softmax, cross_entropy, smoothed, argmax_rows};
}

}  // namespace reprise::cases
