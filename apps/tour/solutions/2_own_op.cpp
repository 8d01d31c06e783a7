// One way to do the exercises of lesson 2.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "engine/autograd/autograd.h"
#include "engine/autograd/gradcheck.h"
#include "engine/autograd/record.h"
#include "engine/base/error.h"
#include "engine/ops/ops.h"

using namespace reprise;

namespace {

Tensor doubles(const std::vector<double>& values) {
  return tensor({static_cast<std::int64_t>(values.size())}, values, ref_device);
}

// 1. Two inputs:
//   y = sqrt(a^2 + b^2),   da = dy a / y,   db = dy b / y
// Backward computes only the gradients that are needed.
int gradients_made = 0;

Tensor hypotenuse(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape() || a.dtype() != DType::f64 || b.dtype() != DType::f64)
    throw Error("hypotenuse: expected two f64 tensors of one shape\n  a       " + describe(a) +
                "\n  b       " + describe(b));
  Tensor y = empty(a.shape(), a.dtype(), a.device());
  for (std::int64_t i = 0; i < y.numel(); ++i)
    y.mutable_data<double>()[i] = std::hypot(a.data<double>()[i], b.data<double>()[i]);
  if (any_requires_grad({a, b}))
    record("hypotenuse", {a, b}, y,
           [sa = Saved(a, "hypotenuse: a"), sb = Saved(b, "hypotenuse: b"),
            sy = Saved(y, "hypotenuse: output")](const Tensor& dy, const Needs& needs) {
             std::vector<Tensor> gradients(2);
             for (std::size_t k = 0; k < 2; ++k) {
               if (!needs[k]) continue;
               ++gradients_made;
               const Tensor& input = k == 0 ? sa.get() : sb.get();
               gradients[k] = empty(dy.shape(), dy.dtype(), dy.device());
               for (std::int64_t i = 0; i < dy.numel(); ++i)
                 gradients[k].mutable_data<double>()[i] =
                     dy.data<double>()[i] * input.data<double>()[i] / sy.get().data<double>()[i];
             }
             return gradients;
           });
  return y;
}

bool two_inputs() {
  const Tensor a = doubles({3, -1, 0.5}), b = doubles({4, 2, -0.25});
  set_requires_grad(a);
  backward(ops::sum(hypotenuse(a, b)));
  const int made_for_one = gradients_made;
  set_requires_grad(b);
  const auto result =
      check_gradients([](const std::vector<Tensor>& x) { return hypotenuse(x[0], x[1]); }, {a, b});
  std::printf("1. b frozen: %d gradient made. The check with both: %s\n%s", made_for_one,
              result.passed ? "passed" : "FAILED", result.report.c_str());
  return made_for_one == 1 && result.passed;
}

// 2. At a kink the slopes of the two sides differ. A gradient may be either; the check counts the kink.
// A step that crosses a kink nearby sees a mixture, and the check takes a smaller one.
bool at_the_kink() {
  bool done = true;
  for (const double where : {0., 2e-6, 0.01}) {
    const Tensor x = doubles({where});
    set_requires_grad(x);
    const auto result = check_gradients([](const std::vector<Tensor>& in) { return ops::relu(in[0]); }, {x});
    std::printf("2. ReLU at %g: %s, kinks: %d\n", where, result.passed ? "passed" : "FAILED", result.kinks);
    done = done && result.passed && result.kinks == (where < 0.01 ? 1 : 0);
  }
  return done;
}

}  // namespace

int main() {
  const bool done[] = {two_inputs(), at_the_kink()};
  return done[0] && done[1] ? 0 : 1;
}
