#include "engine/ops/arithmetic.h"

#include <span>
#include <vector>

#include "engine/autograd/record.h"
#include "engine/kernels/run.h"
#include "engine/ops/error_bound.h"
#include "engine/ops/operands.h"

namespace reprise::ops {
namespace {

Broadcast broadcast_of(const char* op, const Tensor& a, const Tensor& b) {
  if (a.defined() && b.defined() && a.shape() == b.shape()) {
    check_operands(op, {{"a", a}, {"b", b}});
    return Broadcast::none;
  }
  check_parameters(op, {"a", a}, {{"b", b}});
  if (b.numel() == 1) return Broadcast::scalar;
  REPRISE_CHECK(a.rank() >= 1 && b.rank() >= 1 && b.dim(-1) == a.dim(-1) && b.numel() == a.dim(-1),
                "{}: the shapes do not match; b may have a's shape, one element, or one value per channel "
                "(a's last dimension){}{}",
                op, operand_line("a", a), operand_line("b", b));
  return Broadcast::channel;
}

Tensor binary(BinaryOp op, Broadcast broadcast, const Tensor& a, const Tensor& b) {
  Tensor y = empty(a.shape(), a.dtype(), a.device());
  run(kernels::binary, y.device(), y.dtype(), BinaryArgs{op, broadcast}, a.view(), b.view(), y.mut_view());
  return y;
}

Tensor scaled(const Tensor& x, double scale, double shift) {
  Tensor y = empty(x.shape(), x.dtype(), x.device());
  run(kernels::affine, y.device(), y.dtype(), AffineArgs{scale, shift}, x.view(), y.mut_view());
  return y;
}

// Each rounds once, in bf16 when it stores too.
void tell_bound(const char* op, const Tensor& y) {
  ErrorBounds::tell(op, y, [&] { return stored_error(1, y, y); });
}

// Returns the gradient of a broadcast b: g, summed over all elements that used the same value of b.
Tensor gather(Broadcast broadcast, const Tensor& g, const Shape& shape) {
  if (broadcast == Broadcast::none) return g;
  Tensor y = empty(broadcast == Broadcast::scalar ? Shape{} : Shape{g.dim(-1)}, parameter_dtype(g.dtype()),
                   g.device());
  run(broadcast == Broadcast::scalar ? kernels::sum_all : kernels::sum_rows, y.device(), g.dtype(), g.view(),
      y.mut_view());
  return y.viewed_as(shape);
}

}  // namespace

// y = a + b.   da = dy,   db = dy.
Tensor add(const Tensor& a, const Tensor& b) {
  const Broadcast how = broadcast_of("add", a, b);
  const Tensor y = binary(BinaryOp::add, how, a, b);
  record("add", {a, b}, y, [how, b_shape = b.shape()](const Tensor& dy, const Needs& needs) {
    return std::vector{dy, needs[1] ? gather(how, dy, b_shape) : Tensor()};
  });
  tell_bound("add", y);
  return y;
}

// y = a - b.   da = dy,   db = -dy.
Tensor sub(const Tensor& a, const Tensor& b) {
  const Broadcast how = broadcast_of("sub", a, b);
  const Tensor y = binary(BinaryOp::sub, how, a, b);
  record("sub", {a, b}, y, [how, b_shape = b.shape()](const Tensor& dy, const Needs& needs) {
    return std::vector{dy, needs[1] ? scaled(gather(how, dy, b_shape), -1, 0) : Tensor()};
  });
  tell_bound("sub", y);
  return y;
}

// y = a b.   da = dy b,   db = dy a.
Tensor mul(const Tensor& a, const Tensor& b) {
  const Broadcast how = broadcast_of("mul", a, b);
  const Tensor y = binary(BinaryOp::mul, how, a, b);
  if (any_requires_grad({a, b})) {
    const Saved saved_a(requires_grad(b) ? a : Tensor(), "mul: a");
    const Saved saved_b(requires_grad(a) ? b : Tensor(), "mul: b");
    record("mul", {a, b}, y, [=, b_shape = b.shape()](const Tensor& dy, const Needs& needs) {
      Tensor da, db;
      if (needs[0]) da = binary(BinaryOp::mul, how, dy, saved_b);
      if (needs[1]) db = gather(how, binary(BinaryOp::mul, Broadcast::none, dy, saved_a), b_shape);
      return std::vector{da, db};
    });
  }
  tell_bound("mul", y);
  return y;
}

// y = a / b.   da = dy / b,   db = -dy a / b^2 = -(dy / b) y.
Tensor div(const Tensor& a, const Tensor& b) {
  const Broadcast how = broadcast_of("div", a, b);
  const Tensor y = binary(BinaryOp::div, how, a, b);
  if (any_requires_grad({a, b})) {
    const Saved saved_b(b, "div: b");
    const Saved saved_y(requires_grad(b) ? y : Tensor(), "div: output");
    record("div", {a, b}, y, [=, b_shape = b.shape()](const Tensor& dy, const Needs& needs) {
      const Tensor da = binary(BinaryOp::div, how, dy, saved_b);
      if (!needs[1]) return std::vector{da, Tensor()};
      const Tensor product = binary(BinaryOp::mul, Broadcast::none, da, saved_y);
      return std::vector{needs[0] ? da : Tensor(), scaled(gather(how, product, b_shape), -1, 0)};
    });
  }
  tell_bound("div", y);
  return y;
}

// y = scale x + shift.   dx = scale dy.
Tensor affine(const Tensor& x, double scale, double shift) {
  check_operands("affine", {{"input", x}});
  const Tensor y = scaled(x, scale, shift);
  record("affine", {x}, y,
         [scale](const Tensor& dy, const Needs&) { return std::vector{scaled(dy, scale, 0)}; });
  return y;
}

// y = x m / (1 - p),   m = 0 or 1.   dx = dy m / (1 - p).
Tensor dropout(const Tensor& x, double p, RandomStream& stream) {
  check_operands("dropout", {{"input", x}});
  REPRISE_CHECK(p >= 0 && p < 1, "dropout: expected a probability in [0, 1), got {}{}", p,
                operand_line("input", x));
  std::vector<float> mask(static_cast<std::size_t>(x.numel()));
  for (float& m : mask) m = stream.uniform() < p ? 0 : 1;
  const Tensor kept = tensor(x.shape(), std::span<const float>(mask)).to(x.dtype()).to(x.device());
  return affine(mul(x, kept), 1 / (1 - p));
}

}  // namespace reprise::ops

reprise::Tensor& reprise::operator+=(Tensor& a, const Tensor& b) {
  REPRISE_CHECK(!is_leaf(a) || !grad_enabled(),
                "+=: a is a marked leaf, and the sum would take its place; update parameters while a "
                "NoGrad lives{}",
                ops::operand_line("a", a));
  const Tensor sum = a + b;
  if (is_leaf(a))
    copy_into(a, sum);
  else
    a = sum;
  return a;
}
