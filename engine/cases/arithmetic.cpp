#include "engine/ops/arithmetic.h"

#include "engine/cases/cases.h"

namespace reprise::cases {
namespace {

const std::vector<std::string> shapes{
    "a=1 b=1", "a=35 b=35", "a=2x7x5x3 b=2x7x5x3", "a=3x4x5x35 b=3x4x5x35", "a=2x7x5x3 b=1", "a=67 b=1x1",
    // One value per channel.
    "a=2x7x5x3 b=3", "a=3x4x5x35 b=35", "a=3x4x5x35 b=1x1x35", "a=5x1 b=1", "a=2x14x14x64 b=64"};

template <Tensor (*op)(const Tensor&, const Tensor&)>
void binary(Case& c, const Params& p) {
  c.normal("a", p.shape("a"));
  Input& b = c.uniform("b", p.shape("b"), 0.5, 2);
  b.parameter = p.shape("a") != p.shape("b");
  c.bf16_roundings = 4;
  c.calls([](const Inputs& in) { return op(in[0], in[1]); });
}

void affine(Case& c, const Params& p) {
  const double scale = p.number("scale", 1), shift = p.number("shift", 0);
  c.normal("x", p.shape("x"));
  c.bf16_roundings = 1;
  c.calls([scale, shift](const Inputs& in) { return ops::affine(in[0], scale, shift); });
}

// Every run samples the same mask.
void dropout(Case& c, const Params& p) {
  c.normal("x", p.shape("x"));
  c.bf16_roundings = 1;
  c.calls([probability = p.number("p", 0.5)](const Inputs& in) {
    RandomStream stream(3, "dropout");
    return ops::dropout(in[0], probability, stream);
  });
}

}  // namespace

std::vector<OpCases> arithmetic_cases() {
  return {
      {"add", shapes, binary<ops::add>},
      {"sub", shapes, binary<ops::sub>},
      {"mul", shapes, binary<ops::mul>},
      {"div", shapes, binary<ops::div>},
      {"affine", {"x=1 scale=2", "x=2x7x5x3 scale=-0.5 shift=3", "x=3x4x5x35 scale=1.7 shift=-0.25"}, affine},
      {"dropout", {"x=1", "x=2x7x5x3 p=0.2", "x=67 p=0"}, dropout}};
}

}  // namespace reprise::cases
