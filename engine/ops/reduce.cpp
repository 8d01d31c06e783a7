#include "engine/ops/reduce.h"

#include <algorithm>

#include "engine/autograd/record.h"
#include "engine/kernels/norm.h"
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
Tensor norm(const std::vector<Tensor>& x, NormKind kind) {
  const Norms norms = norms_of(x, kind);
  if (!any_requires_grad(x)) return norms.sum;
  std::vector<Saved> saved;
  for (const Tensor& t : x) saved.emplace_back(t, "norm: input");
  record("norm", x, norms.sum, [kind, saved, each = norms.each](const Tensor& dy, const Needs& needs) {
    std::vector<Tensor> gradients(saved.size());
    for (std::size_t k = 0; k < saved.size(); ++k) {
      if (!needs[k]) continue;
      gradients[k] = empty(saved[k].get().shape(), dy.dtype(), dy.device());
      run(kernels::norm_bwd, dy.device(), dy.dtype(), NormArgs{kind}, saved[k].get().view(), each[k].view(),
          dy.view(), gradients[k].mut_view());
    }
    return gradients;
  });
  return norms.sum;
}
Tensor norm(const Tensor& x, NormKind kind) {
  return norm(std::vector{x}, kind);
}

Norms norms_of(const std::vector<Tensor>& x, NormKind kind) {
  REPRISE_CHECK(!x.empty(), "norm: at least one tensor is needed, got none");
  std::int64_t rows = 0;
  std::vector<View> views;
  for (const Tensor& t : x) {
    check_operands("norm", {{"first", x[0]}, {"input", t}});
    REPRISE_CHECK(t.numel() > 0, "norm: no elements{}", operand_line("input", t));
    rows += kernels::norm_rows(kind, t.shape());
    views.push_back(t.view());
  }
  Tensor all = empty({rows}, DType::f64, x[0].device());
  Norms norms{empty({}, x[0].dtype(), x[0].device()), {}};
  run(kernels::norm_fwd, x[0].device(), x[0].dtype(), NormArgs{kind}, Views(views), all.mut_view(),
      norms.sum.mut_view());
  rows = 0;
  for (const Tensor& t : x) {
    const std::int64_t end = rows + kernels::norm_rows(kind, t.shape());
    norms.each.push_back(all.rows(rows, end));
    rows = end;
  }
  return norms;
}

}  // namespace reprise::ops
