// One way to do the exercises of lesson 1.
#include <cmath>
#include <cstdio>

#include "engine/autograd/autograd.h"
#include "engine/base/error.h"
#include "engine/ops/ops.h"

using namespace reprise;

namespace {

float value(const Tensor& t, std::int64_t i = 0) {
  return t.data<float>()[i];
}

// 1. By hand: f(x) = x * x * x has df/dx = 3 x^2. Three
// uses of x give three contributions, which are summed.
bool three_uses() {
  const Tensor x = tensor({1}, {2});
  set_requires_grad(x);
  const Tensor y = x * x * x;
  std::printf("1. The tape of x*x*x:\n%s", describe_tape(y).c_str());
  backward(y);
  std::printf("   gradient at 2: %g, by hand 12\n", static_cast<double>(value(grad(x))));
  return value(grad(x)) == 12;
}

// 2. Gradients add up over calls of backward. Forgetting to clear them is a classic mistake.
bool not_cleared() {
  const Tensor x = tensor({1}, {2});
  set_requires_grad(x);
  backward(x * x);
  const float once = value(grad(x));
  backward(x * x);
  const float twice = value(grad(x));
  clear_grad(x);
  backward(x * x);
  std::printf("2. d(x*x)/dx at 2: %g, after a second backward %g, after clear_grad and a third %g\n",
              static_cast<double>(once), static_cast<double>(twice), static_cast<double>(value(grad(x))));
  return once == 4 && twice == 8 && value(grad(x)) == 4;
}

// 3. The engine keeps what backward will need, and notices a change.
bool changed_in_between() {
  Tensor x = tensor({1}, {2});
  set_requires_grad(x);
  const Tensor y = x * x;
  x.mutable_data<float>()[0] = 3;
  try {
    backward(y);
  } catch (const Error& error) {
    std::printf("3. %s\n", error.what());
    return true;
  }
  return false;
}

}  // namespace

int main() {
  const bool done[] = {three_uses(), not_cleared(), changed_in_between()};
  return done[0] && done[1] && done[2] ? 0 : 1;
}
