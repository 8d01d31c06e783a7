#include "engine/ops/images.h"

#include "tests/ops/cases.h"

namespace reprise::testing {
namespace {

// The dtype of the result is not that of an input here: a tensor of one element tells it.
const OpCases normalize_images("normalize_images",
                               {"x=2x7x5x3", "x=1x1x1x1", "x=3x4x9x4", "x=2x32x32x3", "x=1x224x224x3"},
                               [](Case& c, const Params& p) {
                                 c.bytes("x", p.shape("x"));
                                 c.normal("dtype", {1}).constant();
                                 c.bf16_roundings = 1;
                                 c.run = [](const std::vector<Tensor>& in) {
                                   return std::vector{ops::normalize_images(in[0], in[1].dtype())};
                                 };
                                 c.tolerance = 5e-7;
                               });

// Some images of a stock, one of them twice.
const OpCases gather_images("gather_images", {"x=5x7x6x3", "x=9x1x1x1", "x=4x33x35x4"},
                            [](Case& c, const Params& p) {
                              const Shape x = p.shape("x");
                              c.bytes("x", x);
                              c.labels("rows", x[0] + 2, x[0]);
                              c.normal("dtype", {1}).constant();
                              c.run = [](const std::vector<Tensor>& in) {
                                return std::vector{ops::normalize_images(in[0], in[2].dtype(), {}, in[1])};
                              };
                              c.bf16_roundings = 1;
                              c.tolerance = 5e-7;
                            });

}  // namespace
}  // namespace reprise::testing
