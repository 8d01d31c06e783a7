#include "engine/ops/reduce.h"

#include "engine/autograd/record.h"
#include "engine/kernels/run.h"
#include "engine/ops/arithmetic.h"
#include "engine/ops/operands.h"

namespace reprise::ops {
namespace {

// Repeats dy, one value or one per channel, over `shape`.
Tensor expanded(const Tensor& dy, const Shape& shape, DType dtype) {
  Tensor dx = empty(shape, dtype, dy.device());
  run(kernels::expand, dy.device(), dtype, dy.view(), dx.mut_view());
  return dx;
}

}  // namespace

// y = sum x.   dx = dy everywhere.
Tensor sum(const Tensor& x) {
  check_operands("sum", {{"input", x}});
  Tensor y = empty({}, parameter_dtype(x.dtype()), x.device());
  run(kernels::sum_all, y.device(), x.dtype(), x.view(), y.mut_view());
  record("sum", {x}, y, [shape = x.shape(), dtype = x.dtype()](const Tensor& dy, const Needs&) {
    return std::vector{expanded(dy, shape, dtype)};
  });
  return y;
}

// y = sum x / n.
Tensor mean(const Tensor& x) {
  check_operands("mean", {{"input", x}});
  REPRISE_CHECK(x.numel() > 0, "mean: no elements{}", operand_line("input", x));
  return affine(sum(x), 1 / static_cast<double>(x.numel()));
}

// y[c] = sum of x[...,c].   dx[...,c] = dy[c].
Tensor sum_rows(const Tensor& x) {
  check_operands("sum_rows", {{"input", x}});
  REPRISE_CHECK(x.rank() >= 1, "sum_rows: expected at least one dimension{}", operand_line("input", x));
  Tensor y = empty({x.dim(-1)}, parameter_dtype(x.dtype()), x.device());
  run(kernels::sum_rows, y.device(), x.dtype(), x.view(), y.mut_view());
  record("sum_rows", {x}, y, [shape = x.shape(), dtype = x.dtype()](const Tensor& dy, const Needs&) {
    return std::vector{expanded(dy, shape, dtype)};
  });
  return y;
}

// l1:  y = sum |x|,   dx = dy sign(x).   l2:  y = sqrt(sum x^2),   dx = dy x / y.
// l12: y = the sum of the rows' l2 norms,   dx = dy x / (the l2 norm of x's row).
Tensor norm(const Tensor& x, NormKind kind) {
  check_operands("norm", {{"input", x}});
  Tensor y = empty({}, x.dtype(), x.device());
  run(kernels::norm_fwd, y.device(), y.dtype(), NormArgs{kind}, x.view(), y.mut_view());
  if (any_requires_grad({x})) {
    record("norm", {x}, y, [kind, saved = Saved(x, "norm: input")](const Tensor& dy, const Needs&) {
      const Tensor& kept = saved;
      Tensor dx = empty(kept.shape(), dy.dtype(), dy.device());
      run(kernels::norm_bwd, dy.device(), dy.dtype(), NormArgs{kind}, kept.view(), dy.view(), dx.mut_view());
      return std::vector{dx};
    });
  }
  return y;
}

}  // namespace reprise::ops
