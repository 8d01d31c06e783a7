#include "engine/ops/linear.h"

#include "engine/autograd/record.h"
#include "engine/kernels/run.h"
#include "engine/ops/error_bound.h"
#include "engine/ops/operands.h"

namespace reprise::ops {
namespace {

void check_linear(const Tensor& x, const Tensor& w, const Tensor& b) {
  check_operands("linear", {{"input", x}, {"weight", w}});
  if (b.defined()) check_operands("linear", {{"input", x}, {"bias", b}});
  const auto lines = [&] {
    return operand_line("input", x, "(N,I)") + operand_line("weight", w, "(O,I)") +
           (b.defined() ? operand_line("bias", b, "(O)") : "");
  };
  REPRISE_CHECK(x.rank() == 2 && w.rank() == 2, "linear: expected an input and a weight of rank 2{}",
                lines());
  REPRISE_CHECK(x.dim(1) == w.dim(1), "linear: the input's features do not match the weight{}", lines());
  REPRISE_CHECK(!b.defined() || b.shape() == Shape{w.dim(0)}, "linear: the bias does not match the weight{}",
                lines());
}

void check_matmul(const Tensor& a, const Tensor& b, const MatmulArgs& args) {
  check_operands("matmul", {{"a", a}, {"b", b}});
  const auto lines = [&] {
    return operand_line("a", a, args.transpose_a ? "(K,M)" : "(M,K)") +
           operand_line("b", b, args.transpose_b ? "(N,K)" : "(K,N)");
  };
  REPRISE_CHECK(a.rank() == 2 && b.rank() == 2, "matmul: expected two matrices{}", lines());
  REPRISE_CHECK(a.dim(args.transpose_a ? 0 : 1) == b.dim(args.transpose_b ? 1 : 0),
                "matmul: the inner sizes K differ{}", lines());
}

Tensor product(const Tensor& a, const Tensor& b, bool transpose_a, bool transpose_b) {
  Tensor y = empty({a.dim(transpose_a ? 1 : 0), b.dim(transpose_b ? 0 : 1)}, a.dtype(), a.device());
  run(kernels::matmul, y.device(), y.dtype(), MatmulArgs{transpose_a, transpose_b}, a.view(), b.view(),
      y.mut_view());
  return y;
}

}  // namespace

// y = x w^T + b.   dx = dy w.   dw = dy^T x.   db = the sum of dy's rows.
// A sum of I products and b: |error| <= (I + 1) u (|x| |w|^T + |b|).
Tensor linear(const Tensor& x, const Tensor& w, const Tensor& b) {
  check_linear(x, w, b);
  Tensor y = empty({x.dim(0), w.dim(0)}, x.dtype(), x.device());
  run(kernels::linear_fwd, y.device(), y.dtype(), x.view(), w.view(), view_of(b), y.mut_view());
  if (any_requires_grad({x, w, b})) {
    const Saved saved_x(requires_grad(w) ? x : Tensor(), "linear: input");
    const Saved saved_w(requires_grad(x) ? w : Tensor(), "linear: weight");
    record("linear", {x, w, b}, y,
           [=, x_shape = x.shape(), w_shape = w.shape()](const Tensor& dy, const Needs& needs) {
             Tensor dx, dw, db;
             if (needs[0]) {
               dx = empty(x_shape, dy.dtype(), dy.device());
               run(kernels::linear_dgrad, dy.device(), dy.dtype(), dy.view(), saved_w.get().view(),
                   dx.mut_view());
             }
             if (needs[1]) {
               dw = empty(w_shape, dy.dtype(), dy.device());
               run(kernels::linear_wgrad, dy.device(), dy.dtype(), saved_x.get().view(), dy.view(),
                   dw.mut_view());
             }
             if (needs[2]) {
               db = empty({w_shape[0]}, dy.dtype(), dy.device());
               run(kernels::linear_bgrad, dy.device(), dy.dtype(), dy.view(), db.mut_view());
             }
             return std::vector{dx, dw, db};
           });
  }
  ErrorBounds::tell("linear", y, [&] {
    return ErrorTerms{{ErrorTerm::Kind::f32, static_cast<double>(w.dim(1) + 1),
                       linear(absolute(x), absolute(w), b.defined() ? absolute(b) : b)}};
  });
  return y;
}

// y = op(a) op(b).   d op(a) = dy op(b)^T,   d op(b) = op(a)^T dy;   da, db: op of these.
Tensor matmul(const Tensor& a, const Tensor& b, const MatmulArgs& args) {
  check_matmul(a, b, args);
  const Tensor y = product(a, b, args.transpose_a, args.transpose_b);
  if (any_requires_grad({a, b})) {
    const Saved saved_a(requires_grad(b) ? a : Tensor(), "matmul: a");
    const Saved saved_b(requires_grad(a) ? b : Tensor(), "matmul: b");
    record("matmul", {a, b}, y, [=](const Tensor& dy, const Needs& needs) {
      Tensor da, db;
      if (needs[0])
        da = args.transpose_a ? product(saved_b, dy, args.transpose_b, true)
                              : product(dy, saved_b, false, !args.transpose_b);
      if (needs[1])
        db = args.transpose_b ? product(dy, saved_a, true, args.transpose_a)
                              : product(saved_a, dy, !args.transpose_a, false);
      return std::vector{da, db};
    });
  }
  return y;
}

}  // namespace reprise::ops
