// An op of your own: a kernel in plain loops, a function that puts it on the tape, and the
// gradient check that finds a forgotten factor. The op is SiLU (Elfwing, Uchibe and Doya, 2017):
//   y = x s   with s = 1 / (1 + exp(-x))
#include <cmath>
#include <cstdio>
#include <vector>

#include "engine/autograd/autograd.h"
#include "engine/autograd/gradcheck.h"
#include "engine/autograd/record.h"
#include "engine/base/error.h"
#include "engine/ops/ops.h"

using namespace reprise;

namespace {

// 1. The kernels, as they would stand in engine/kernels/ref/silu.cpp: the
// formula in plain loops, for float and for double. Each fills its whole output.
template <class T>
T logistic(T x) {
  return 1 / (1 + std::exp(-x));
}

template <class T>
void silu_fwd(View x, MutView y) {
  for (std::int64_t i = 0; i < x.numel(); ++i) y.data<T>()[i] = x.data<T>()[i] * logistic(x.data<T>()[i]);
}

// dy/dx = s + x s (1 - s). `forgetful` leaves out the s of
// the second term, the mistake made on purpose.
template <class T>
void silu_bwd(bool forgetful, View x, View dy, MutView dx) {
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    const T v = x.data<T>()[i], s = logistic(v);
    dx.data<T>()[i] = dy.data<T>()[i] * (s + v * (forgetful ? 1 : s) * (1 - s));
  }
}

// 2. The choice of a kernel by dtype. In the engine each of these two functions is one line of
// engine/kernels/kernels.def.
void run_fwd(View x, MutView y) {
  x.dtype == DType::f64 ? silu_fwd<double>(x, y) : silu_fwd<float>(x, y);
}
void run_bwd(bool forgetful, View x, View dy, MutView dx) {
  x.dtype == DType::f64 ? silu_bwd<double>(forgetful, x, dy, dx) : silu_bwd<float>(forgetful, x, dy, dx);
}

// 3. The op, as it would stand in engine/ops/silu.cpp: it checks, makes
// the output, runs the kernel and records. `Saved` keeps the input for
// backward; backward throws Error if somebody changed it in between.
Tensor silu(const Tensor& x, bool forgetful = false) {
  if ((x.dtype() != DType::f32 && x.dtype() != DType::f64) || !x.device().is_host())
    throw Error("silu: expected f32 or f64 in the host's memory\n  input   " + describe(x));
  Tensor y = empty(x.shape(), x.dtype(), x.device());
  run_fwd(x.view(), y.mut_view());
  if (any_requires_grad({x}))
    record("silu", {x}, y, [forgetful, saved = Saved(x, "silu: input")](const Tensor& dy, const Needs&) {
      Tensor dx = empty(dy.shape(), dy.dtype(), dy.device());
      run_bwd(forgetful, saved.get().view(), dy.view(), dx.mut_view());
      return std::vector{dx};
    });
  return y;
}

// 4. The test, as it would stand in engine/cases/silu.cpp:
// compares the gradient with central differences, in double.
GradCheckResult check(bool forgetful) {
  const std::vector<double> values = {-4, -1.5, -0.25, 0, 0.5, 2, 5};
  const Tensor x = tensor({7}, values, ref_device);
  set_requires_grad(x);
  return check_gradients([&](const std::vector<Tensor>& inputs) { return silu(inputs[0], forgetful); }, {x});
}

}  // namespace

int main() {
  // First the values: the same as those of two ops that the engine has, one after the other.
  Tensor x = tensor({5}, {-2, -0.5f, 0, 1, 3});
  set_requires_grad(x);
  const Tensor own = silu(x), composed = x * ops::sigmoid(x);
  std::printf("      x       silu   x * sigmoid(x)\n");
  double apart = 0;
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    const auto a = static_cast<double>(own.data<float>()[i]),
               b = static_cast<double>(composed.data<float>()[i]);
    std::printf("%7.2f  %9.6f  %9.6f\n", static_cast<double>(x.data<float>()[i]), a, b);
    apart = std::max(apart, std::abs(a - b));
  }
  std::printf("\nIts tape is one op, the composition's two:\n%s%s", describe_tape(own).c_str(),
              describe_tape(composed).c_str());

  // Kernels check nothing: for bf16, of two bytes, they would read past the end. The op refuses it.
  bool refused = false;
  try {
    silu(x.to(DType::bf16));
  } catch (const Error& error) {
    refused = true;
    std::printf("\n%s\n", error.what());
  }

  // The forgetful version has the same values. Only its gradient is wrong, and only a
  // check of the gradient can see that: a network with it would still learn something.
  const GradCheckResult wrong = check(true), right = check(false);
  std::printf("\nwith the factor forgotten: %s\n%s", wrong.passed ? "passed" : "FAILED",
              wrong.report.c_str());
  std::printf("\nas it should be: %s\n%s", right.passed ? "passed" : "FAILED", right.report.c_str());
  return apart < 1e-6 && refused && !wrong.passed && right.passed ? 0 : 1;
}
