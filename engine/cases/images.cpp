#include "engine/ops/images.h"

#include "engine/cases/cases.h"

namespace reprise::cases {
namespace {

// Sets normalize_images. With `rows` it takes images by number, at least one of them twice.
// The result's dtype is not an input's, so the input `dtype`, of one element, carries it.
void normalize(Case& c, const Params& p, bool rows) {
  const Shape x = p.shape("x");
  c.bytes("x", x);
  if (rows) c.labels("rows", x[0] + 2, x[0]);
  c.normal("dtype", {1}).constant();
  c.bf16_roundings = 1;
  c.tolerance = 5e-7;
  c.calls([rows](const Inputs& in) {
    return ops::normalize_images(in[0], in.back().dtype(), {}, rows ? in[1] : Tensor());
  });
}

}  // namespace

std::vector<OpCases> images_cases() {
  return {{"normalize_images",
           {"x=2x7x5x3", "x=1x1x1x1", "x=3x4x9x4", "x=2x32x32x3", "x=1x224x224x3"},
           [](Case& c, const Params& p) { normalize(c, p, false); }},
          {"gather_images", {"x=5x7x6x3", "x=9x1x1x1", "x=4x33x35x4"}, [](Case& c, const Params& p) {
             normalize(c, p, true);
           }}};
}

}  // namespace reprise::cases
