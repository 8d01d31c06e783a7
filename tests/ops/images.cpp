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

}  // namespace
}  // namespace reprise::testing
