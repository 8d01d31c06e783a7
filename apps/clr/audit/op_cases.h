// A call of every op, for the parts that examine ops by themselves.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine/core/tensor.h"

namespace reprise::clr {

struct OpCase {
  std::string name;  // "conv2d 3x3 stride 2"
  // Of the inputs that have a gradient, as in real networks, and small for differences.
  std::vector<Shape> shapes, small;
  std::function<Tensor(const std::vector<Tensor>&)> call;
  bool positive = false;       // inputs in [0.5, 1.5] instead of normal ones
  bool differentiable = true;  // else it is called for its kernels alone
  // How many of the first inputs are images, and so are all of the first one's shape; the others are
  // parameters, f32 beside images in bf16. 0: a matter of parameters alone.
  int images = 1;
};
const std::vector<OpCase>& op_cases();

// The inputs, drawn from streams of their own; they require a gradient where the op has one.
std::vector<Tensor> draw_inputs(const OpCase& c, bool small, DType dtype, Device device);

}  // namespace reprise::clr
