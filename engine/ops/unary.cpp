#include "engine/ops/unary.h"

#include "engine/autograd/record.h"
#include "engine/kernels/run.h"
#include "engine/ops/error_bound.h"
#include "engine/ops/operands.h"

namespace reprise::ops {
namespace {

// The kernel computes dx from x (log, clamp, gelu) or from y (the others): only that one is saved.
Tensor unary(const char* name, const UnaryArgs& args, const Tensor& x) {
  check_operands(name, {{"input", x}});
  Tensor y = empty(x.shape(), x.dtype(), x.device());
  run(kernels::unary_fwd, y.device(), y.dtype(), args, x.view(), y.mut_view());
  if (any_requires_grad({x})) {
    const UnaryOp op = args.op;
    const bool from_x = op == UnaryOp::log || op == UnaryOp::clamp || op == UnaryOp::gelu;
    const Saved saved(from_x ? x : y, std::string(name) + (from_x ? ": input" : ": output"));
    record(name, {x}, y, [args, from_x, saved](const Tensor& dy, const Needs&) {
      Tensor dx = empty(dy.shape(), dy.dtype(), dy.device());
      const View kept = saved.get().view();
      run(kernels::unary_bwd, dy.device(), dy.dtype(), args, from_x ? kept : View{}, from_x ? View{} : kept,
          dy.view(), dx.mut_view());
      return std::vector{dx};
    });
  }
  if (args.op <= UnaryOp::clamp) ErrorBounds::tell_exact(name, y);  // exact: 0, x or a bound
  return y;
}

}  // namespace

// y = max(x, 0).   dx = dy where y > 0.
Tensor relu(const Tensor& x) {
  return unary("relu", {UnaryOp::relu}, x);
}
// y = min(max(x, 0), 6).   dx = dy where 0 < y < 6.
Tensor relu6(const Tensor& x) {
  return unary("relu6", {UnaryOp::relu6}, x);
}
// y = min(max(x, low), high).   dx = dy where low <= x <= high.
Tensor clamp(const Tensor& x, double low, double high) {
  REPRISE_CHECK(low <= high, "clamp: the lower bound {} is above the upper bound {}{}", low, high,
                operand_line("input", x));
  return unary("clamp", {UnaryOp::clamp, low, high}, x);
}
// y = x P(x), P being the standard normal distribution's share below x.   dx = dy (P(x) + x P'(x)).
Tensor gelu(const Tensor& x) {
  return unary("gelu", {UnaryOp::gelu}, x);
}
// dx = dy y
Tensor exp(const Tensor& x) {
  return unary("exp", {UnaryOp::exp}, x);
}
// dx = dy / x
Tensor log(const Tensor& x) {
  return unary("log", {UnaryOp::log}, x);
}
// dx = dy / (2 y)
Tensor sqrt(const Tensor& x) {
  return unary("sqrt", {UnaryOp::sqrt}, x);
}
// dx = dy (1 - y^2)
Tensor tanh(const Tensor& x) {
  return unary("tanh", {UnaryOp::tanh}, x);
}
// dx = dy y (1 - y)
Tensor sigmoid(const Tensor& x) {
  return unary("sigmoid", {UnaryOp::sigmoid}, x);
}

// y = x in another dtype.   dx = dy in x's dtype.
Tensor cast(const Tensor& x, DType dtype) {
  check_operands("cast", {{"input", x}});
  REPRISE_CHECK(is_floating(dtype), "cast: expected a floating dtype, got {}{}", name_of(dtype),
                operand_line("input", x));
  if (x.dtype() == dtype) return x;
  Tensor y = empty(x.shape(), dtype, x.device());
  run(kernels::cast, y.device(), dtype, x.view(), y.mut_view());
  record("cast", {x}, y,
         [from = x.dtype()](const Tensor& dy, const Needs&) { return std::vector{cast(dy, from)}; });
  return y;
}

}  // namespace reprise::ops
