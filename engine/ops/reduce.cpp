#include "engine/ops/reduce.h"

#include <algorithm>

#include "engine/autograd/record.h"
#include "engine/kernels/run.h"
#include "engine/ops/arithmetic.h"
#include "engine/ops/layout.h"
#include "engine/ops/operands.h"
#include "engine/ops/pool.h"

namespace reprise::ops {
namespace {

// Repeats dy, one value or one per channel, over `shape`.
Tensor expanded(const Tensor& dy, const Shape& shape, DType dtype) {
  Tensor dx = empty(shape, dtype, dy.device());
  run(kernels::expand, dy.device(), dtype, dy.view(), dx.mut_view());
  return dx;
}

// Returns x as images (A,n,1,B), n along `dim`: pooling all rows of an image reduces `dim`.
Tensor as_images(const char* op, const Tensor& x, int dim) {
  check_operands(op, {{"input", x}});
  const int d = dim < 0 ? dim + x.rank() : dim;
  REPRISE_CHECK(d >= 0 && d < x.rank() && x.dim(d) > 0, "{}: there is no element along dimension {}{}", op,
                dim, operand_line("input", x));
  const std::int64_t inner = x.shape().drop_front(d + 1).numel();
  return reshape(
      x, {x.shape().drop_front(d).numel() == 0 ? 0 : x.numel() / x.dim(d) / inner, x.dim(d), 1, inner});
}
// Returns pooled images (A,1,1,B) in x's shape without `dim`.
Tensor without(int dim, const Tensor& pooled, const Shape& x) {
  std::vector<std::int64_t> sizes(x.dims().begin(), x.dims().end());
  sizes.erase(sizes.begin() + (dim < 0 ? dim + x.rank() : dim));
  return reshape(pooled, Shape(sizes));
}
Pool2dArgs whole_columns(const Tensor& images) {
  const int n = static_cast<int>(images.dim(1));
  return {.kernel = {n, 1}, .stride = {n, 1}};
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

// y = the sum of x along dim.   dx = dy everywhere along dim.
Tensor sum(const Tensor& x, int dim) {
  const Tensor images = as_images("sum", x, dim);
  Pool2dArgs args = whole_columns(images);
  args.divides = false;
  return without(dim, avg_pool2d(images, args), x.shape());
}

// y = the mean of x along dim.   dx = dy / n.
Tensor mean(const Tensor& x, int dim) {
  const Tensor images = as_images("mean", x, dim);
  return without(dim, avg_pool2d(images, whole_columns(images)), x.shape());
}

// y = the largest x along dim.   dx = dy at the first largest, 0 elsewhere.
// Windows have at most 255 taps, so a longer dimension is reduced in several passes.
Tensor max(const Tensor& x, int dim) {
  Tensor images = as_images("max", x, dim);
  constexpr int k = 128;
  while (images.dim(1) > 255) {
    const int missing = static_cast<int>((k - images.dim(1) % k) % k);
    images = max_pool2d(images, {.kernel = {k, 1}, .stride = {k, 1}, .padding = {(missing + 1) / 2, 0}});
  }
  return without(dim, max_pool2d(images, whole_columns(images)), x.shape());
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
