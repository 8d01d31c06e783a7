#include "engine/ops/layout.h"

#include "engine/autograd/record.h"
#include "engine/kernels/run.h"
#include "engine/ops/error_bound.h"
#include "engine/ops/operands.h"

namespace reprise::ops {
namespace {

Tensor box_read(const BoxArgs& box, const Tensor& x, const Shape& shape) {
  Tensor y = empty(shape, x.dtype(), x.device());
  run(kernels::box_read, y.device(), y.dtype(), box, x.view(), y.mut_view());
  return y;
}
Tensor box_write(const BoxArgs& box, const Tensor& x, const Shape& shape) {
  Tensor y = empty(shape, x.dtype(), x.device());
  run(kernels::box_write, y.device(), y.dtype(), box, x.view(), y.mut_view());
  return y;
}

// y = a, then b, along `dim`.   da, db = their parts of dy.
Tensor concat_pair(const Tensor& a, const Tensor& b, int dim) {
  Tensor y = empty(a.shape().with(dim, a.dim(dim) + b.dim(dim)), a.dtype(), a.device());
  run(kernels::concat, y.device(), y.dtype(), ConcatArgs{dim}, a.view(), b.view(), y.mut_view());
  record("concat", {a, b}, y,
         [dim, a_shape = a.shape(), b_shape = b.shape()](const Tensor& dy, const Needs& needs) {
           BoxArgs second;
           second.begin[static_cast<std::size_t>(dim)] = a_shape[dim];
           return std::vector{needs[0] ? box_read({}, dy, a_shape) : Tensor(),
                              needs[1] ? box_read(second, dy, b_shape) : Tensor()};
         });
  ErrorBounds::tell_exact("concat", y);
  return y;
}

}  // namespace

// The same elements.   dx = dy in x's shape.
Tensor reshape(const Tensor& x, const Shape& shape) {
  check_operands("reshape", {{"input", x}});
  const Tensor y = x.viewed_as(shape);
  record("reshape", {x}, y,
         [from = x.shape()](const Tensor& dy, const Needs&) { return std::vector{dy.viewed_as(from)}; });
  ErrorBounds::tell_exact("reshape", y);
  return y;
}

// y = x[begin:end].   dx = dy there, 0 elsewhere.
Tensor slice(const Tensor& x, std::int64_t begin, std::int64_t end) {
  check_operands("slice", {{"input", x}});
  const Tensor y = x.rows(begin, end);
  record("slice", {x}, y, [begin, shape = x.shape()](const Tensor& dy, const Needs&) {
    BoxArgs box;
    box.begin[0] = begin;
    return std::vector{box_write(box, dy, shape)};
  });
  return y;
}

// y = x surrounded by zeros.   dx = the part of dy inside them.
Tensor pad(const Tensor& x, const std::vector<std::pair<std::int64_t, std::int64_t>>& amounts) {
  check_operands("pad", {{"input", x}});
  REPRISE_CHECK(static_cast<int>(amounts.size()) == x.rank(),
                "pad: expected an amount before and after for each dimension, got {} for{}", amounts.size(),
                operand_line("input", x));
  BoxArgs box;
  Shape shape = x.shape();
  for (std::size_t d = 0; d < amounts.size(); ++d) {
    const auto [before, after] = amounts[d];
    REPRISE_CHECK(before >= 0 && after >= 0, "pad: the amounts ({}, {}) of dimension {} must not be negative",
                  before, after, d);
    box.begin[d] = before;
    shape = shape.with(static_cast<int>(d), before + shape[static_cast<int>(d)] + after);
  }
  const Tensor y = box_write(box, x, shape);
  record("pad", {x}, y, [box, from = x.shape()](const Tensor& dy, const Needs&) {
    return std::vector{box_read(box, dy, from)};
  });
  ErrorBounds::tell_exact("pad", y);
  return y;
}

// y[i] = x[begin + i step].   dx = dy at those places, 0 elsewhere.
Tensor stride_slice(const Tensor& x, const std::vector<std::int64_t>& begin,
                    const std::vector<std::int64_t>& step) {
  check_operands("stride_slice", {{"input", x}});
  REPRISE_CHECK(static_cast<int>(begin.size()) == x.rank() && static_cast<int>(step.size()) == x.rank(),
                "stride_slice: expected a begin and a step for each dimension, got {} and {} for{}",
                begin.size(), step.size(), operand_line("input", x));
  BoxArgs box;
  Shape shape = x.shape();
  for (std::size_t d = 0; d < begin.size(); ++d) {
    const std::int64_t size = shape[static_cast<int>(d)];
    REPRISE_CHECK(begin[d] >= 0 && begin[d] <= size && step[d] >= 1,
                  "stride_slice: begin {} and step {} do not fit dimension {}{}", begin[d], step[d], d,
                  operand_line("input", x));
    box.begin[d] = begin[d];
    box.step[d] = step[d];
    shape = shape.with(static_cast<int>(d), (size - begin[d] + step[d] - 1) / step[d]);
  }
  const Tensor y = box_read(box, x, shape);
  record("stride_slice", {x}, y, [box, from = x.shape()](const Tensor& dy, const Needs&) {
    return std::vector{box_write(box, dy, from)};
  });
  ErrorBounds::tell_exact("stride_slice", y);
  return y;
}

// y[j,i] = x[i,j].   dx[i,j] = dy[j,i].
Tensor transpose(const Tensor& x) {
  check_operands("transpose", {{"input", x}});
  REPRISE_CHECK(x.rank() == 2, "transpose: expected a matrix{}", operand_line("input", x));
  const Tensor y = box_read({.transposed = true}, x, {x.dim(1), x.dim(0)});
  record("transpose", {x}, y, [](const Tensor& dy, const Needs&) { return std::vector{transpose(dy)}; });
  return y;
}

Tensor concat(const std::vector<Tensor>& parts, int dim) {
  REPRISE_CHECK(!parts.empty(), "concat: expected at least one tensor");
  for (const Tensor& part : parts) check_operands("concat", {{"first", parts[0]}, {"part", part}});
  const int rank = parts[0].rank(), d = dim < 0 ? dim + rank : dim;
  REPRISE_CHECK(d >= 0 && d < rank, "concat: there is no dimension {}{}", dim,
                operand_line("first", parts[0]));
  for (const Tensor& part : parts)
    REPRISE_CHECK(part.rank() == rank && part.shape().with(d, parts[0].dim(d)) == parts[0].shape(),
                  "concat: the shapes differ in more than dimension {}{}{}", dim,
                  operand_line("first", parts[0]), operand_line("part", part));
  Tensor y = parts[0];
  for (std::size_t i = 1; i < parts.size(); ++i) y = concat_pair(y, parts[i], d);
  return y;
}

}  // namespace reprise::ops
