#include "engine/ops/error_bound.h"

#include <cmath>
#include <utility>

#include "engine/autograd/autograd.h"
#include "engine/base/check.h"
#include "engine/kernels/cpu/conv/winograd.h"
#include "engine/kernels/cpu/leaf/winograd.h"
#include "engine/kernels/run.h"
#include "engine/ops/arithmetic.h"
#include "engine/ops/conv2d.h"
#include "engine/ops/layout.h"
#include "engine/ops/linear.h"

namespace reprise::ops {
namespace {

thread_local ErrorBounds* active = nullptr;

using Row = std::vector<double>;
using Matrix = std::vector<Row>;

// The matrices of the form along one axis: y = output ((filter g) * (input d)), for a patch d of the
// image, three taps g and four outputs y. leaf/winograd.cpp has them as chains of multiply-adds.
struct Axis {
  Matrix input, filter, output;  // B^T, G and |A|, with a row for each element
  std::int64_t step;             // the input's pixels from tile to tile
};

// Returns F(4, taps) of Toom and Cook. With two taps: F(4, 2) over the even pixels and the outer
// taps, and beside it the odd pixels, which only meet the middle tap (leaf/winograd.h).
Axis toom_cook(std::size_t taps) {
  constexpr auto p = static_cast<double>(kernels::cpu::winograd_p),
                 q = static_cast<double>(kernels::cpu::winograd_q);
  const bool strided = taps == 2;
  std::vector<double> points{p, -p, q, -q};
  if (!strided) points.insert(points.begin(), 0);
  const std::size_t n = points.size() + 1, all = strided ? n + 4 : n, gap = strided ? 2 : 1;
  Axis axis{Matrix(all, Row(all)), Matrix(all, Row(3)), Matrix(all, Row(4)), strided ? 8 : 4};
  for (std::size_t e = 0; e < n; ++e) {  // the last element belongs to infinity
    const bool finite = e + 1 < n;
    std::vector<double> polynomial{1};  // whose zeros are the other points
    double norm = 1;
    for (std::size_t j = 0; j + 1 < n; ++j) {
      if (j == e) continue;
      polynomial.insert(polynomial.begin(), 0);
      for (std::size_t k = 0; k + 1 < polynomial.size(); ++k) polynomial[k] -= points[j] * polynomial[k + 1];
      if (finite) norm *= points[e] - points[j];
    }
    for (std::size_t k = 0; k < polynomial.size(); ++k) axis.input[e][gap * k] = polynomial[k];
    const auto power = [&](std::size_t k, std::size_t last) {
      return finite ? std::pow(points[e], static_cast<double>(k)) / norm : k == last ? 1 : 0;
    };
    for (std::size_t t = 0; t < taps; ++t) axis.filter[e][gap * t] = power(t, taps - 1);
    for (std::size_t i = 0; i < 4; ++i) axis.output[e][i] = std::abs(power(i, 3) * (finite ? norm : 1));
  }
  if (strided)
    for (std::size_t i = 0; i < 4; ++i)
      axis.input[n + i][2 * i + 1] = axis.filter[n + i][1] = axis.output[n + i][i] = 1;
  return axis;
}

Row positive(Row row) {
  for (double& v : row) v = std::abs(v);
  return row;
}
// Returns the depthwise filter a b^T for every channel.
Tensor outer(const Row& a, const Row& b, std::int64_t channels, const Tensor& like) {
  Row values;
  for (const double r : a)
    for (const double s : b) values.insert(values.end(), static_cast<std::size_t>(channels), r * s);
  const Shape shape{static_cast<std::int64_t>(a.size()), static_cast<std::int64_t>(b.size()), channels};
  return tensor(shape, std::span<const double>(values)).to(like.dtype()).to(like.device());
}

}  // namespace

ErrorBounds::ErrorBounds(Callback callback) : callback_(std::move(callback)) {
  REPRISE_INVARIANT(active == nullptr, "error bounds are told to one instance at a time");
  active = this;
}
ErrorBounds::~ErrorBounds() {
  active = nullptr;
}
bool ErrorBounds::wanted() {
  return active != nullptr;
}
void ErrorBounds::call(std::string_view op, const Tensor& y, const Terms& terms) {
  const NoGrad no_grad;
  const struct Pause {
    ErrorBounds* const told = std::exchange(active, nullptr);
    ~Pause() { active = told; }
  } pause;
  pause.told->callback_(op, y, terms);
}

Tensor absolute(const Tensor& t) {
  Tensor y = t.clone();
  const auto take = [](auto* values, std::int64_t n) {
    for (std::int64_t i = 0; i < n; ++i) values[i] = std::abs(values[i]);
  };
  t.dtype() == DType::f64 ? take(y.mutable_data<double>(), y.numel())
                          : take(y.mutable_data<float>(), y.numel());
  return y;
}

ErrorTerms stored_error(std::int64_t roundings, const Tensor& magnitude, const Tensor& y) {
  return {{ErrorTerm::Kind::f32, static_cast<double>(roundings), magnitude},
          {ErrorTerm::Kind::bf16, 1, absolute(y)}};
}

// |error| <= u |A^T| (|U| ((C + 1 + 8) |V| + 8 |B^T| |d| |B|)) |A|, summed over the channels: U is rounded
// once; a chain of M has C products; without FMA each axis takes at most 4 roundings from d to V, and 4
// from M to y (5 with stride 2). Each element of U, V and M is an image here: V is x convolved depthwise
// along one axis and then the other, with the tiles' step as stride. The way from M to y is the gradient
// of such convolutions.
ErrorTerms winograd_error(const Conv2dArgs& args, const Tensor& x, const Tensor& w, const Shape& shape) {
  if (!kernels::cpu::winograd_applies<float>(args, w.view(), MutView{nullptr, shape, x.dtype()})) return {};
  const bool strided = args.stride[0] == 2;
  const Axis axis = toom_cook(strided ? 2 : 3);
  const std::int64_t n = shape[0], down = (shape[1] + 3) / 4, along = (shape[2] + 3) / 4, in = w.dim(3),
                     out = w.dim(0), top = args.padding[0], left = args.padding[1],
                     rest = static_cast<std::int64_t>(axis.input.size()) - axis.step;
  const int step = static_cast<int>(axis.step);
  const Tensor image = pad(x, {{0, 0},
                               {top, step * down + rest - top - x.dim(1)},
                               {left, step * along + rest - left - x.dim(2)},
                               {0, 0}}),
               images[2] = {image, absolute(image)};
  const Row one{1};
  // Returns element (i, j) of B^T d B, or with `k` of |B^T| |d| |B|, of every tile, from the rows' elements i.
  const auto across = [&](int k, const Tensor& rows, std::size_t j) {
    const Row& b = axis.input[j];
    return absolute(
        depthwise_conv2d(rows, outer(one, k == 0 ? b : positive(b), in, x), {.stride = {1, step}}));
  };
  const auto back = [&](const Tensor& m, const Tensor& filter, const Shape& to, Tensor& sum) {
    Tensor part = empty(to, x.dtype(), x.device());
    const Conv2dArgs stride{.stride = {static_cast<int>(filter.dim(0)), static_cast<int>(filter.dim(1))}};
    run(kernels::depthwise_dgrad, x.device(), x.dtype(), stride, m.view(), filter.view(), part.mut_view());
    sum = sum.defined() ? add(sum, part) : part;
  };
  Tensor sums;  // of both terms, one after the other
  for (std::size_t i = 0; i < axis.input.size(); ++i) {
    const Tensor taps = depthwise_conv2d(w, outer(axis.filter[i], one, in, x));
    Tensor rows[2], sum;
    for (int k = 0; k < 2; ++k)
      rows[k] =
          depthwise_conv2d(images[k], outer(k == 0 ? axis.input[i] : positive(axis.input[i]), one, in, x),
                           {.stride = {step, 1}});
    for (std::size_t j = 0; j < axis.input.size(); ++j) {
      const Tensor u = absolute(depthwise_conv2d(taps, outer(one, axis.filter[j], in, x))),
                   v = concat({across(0, rows[0], j), across(1, rows[1], j)}, 0),
                   m = linear(v.viewed_as({2 * n * down * along, in}), u.viewed_as({out, in}));
      back(m.viewed_as({2 * n, down, along, out}), outer(one, axis.output[j], out, x),
           {2 * n, down, 4 * along, out}, sum);
    }
    back(sum, outer(axis.output[i], one, out, x), {2 * n, 4 * down, 4 * along, out}, sums);
  }
  Tensor y = empty(shape.with(0, 2 * n), x.dtype(), x.device());
  run(kernels::box_read, x.device(), x.dtype(), BoxArgs{}, sums.view(), y.mut_view());
  return {{ErrorTerm::Kind::winograd, static_cast<double>(in) + (strided ? 11 : 9), y.rows(0, n)},
          {ErrorTerm::Kind::winograd, 8, y.rows(n, 2 * n)}};
}

}  // namespace reprise::ops
