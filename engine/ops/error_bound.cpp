#include "engine/ops/error_bound.h"

#include <cmath>
#include <utility>

#include "engine/autograd/autograd.h"
#include "engine/base/check.h"
#include "engine/base/parallel.h"
#include "engine/core/storage.h"
#include "engine/kernels/cpu/conv/winograd.h"
#include "engine/kernels/cpu/leaf/winograd.h"
#include "engine/kernels/run.h"

namespace reprise::ops {
namespace {

thread_local ErrorBounds* active = nullptr;

using Matrix = std::vector<std::vector<double>>;

// The matrices of the form along one axis: y = output ((filter g) * (input d)), for a patch d of the
// image, three taps g and four outputs y. leaf/winograd.cpp has the same as chains of multiply-adds.
struct Axis {
  Matrix input, filter, output;
  std::int64_t step;  // the input's pixels from tile to tile
};

// Returns F(4, taps) of Toom and Cook. With two taps: F(4, 2) over the even pixels and the outer
// taps, and beside it the odd pixels, which only meet the middle tap (leaf/winograd.h).
Axis toom_cook(std::size_t taps) {
  constexpr double p = kernels::cpu::winograd_p, q = kernels::cpu::winograd_q;
  const bool strided = taps == 2;
  std::vector<double> points{p, -p, q, -q};
  if (!strided) points.insert(points.begin(), 0);
  const std::size_t n = points.size() + 1, all = strided ? n + 4 : n, gap = strided ? 2 : 1;
  Axis axis{Matrix(all, std::vector<double>(all)), Matrix(all, std::vector<double>(3)),
            Matrix(4, std::vector<double>(all)), strided ? 8 : 4};
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
    for (std::size_t i = 0; i < 4; ++i) axis.output[i][e] = power(i, 3) * (finite ? norm : 1);
  }
  if (strided)
    for (std::size_t i = 0; i < 4; ++i)
      axis.input[n + i][2 * i + 1] = axis.filter[n + i][1] = axis.output[i][n + i] = 1;
  return axis;
}
Matrix absolute(Matrix m) {
  for (auto& row : m)
    for (double& v : row) v = std::abs(v);
  return m;
}

template <class T>
void add_scaled(T* y, double scale, const T* x, std::size_t n) {
  if (scale == 0) return;
  for (std::size_t i = 0; i < n; ++i) y[i] += static_cast<T>(scale) * x[i];
}
// Returns m d m^T for d of columns x columns x c elements; the result has rows x rows x c.
template <class T>
std::vector<T> sandwich(const Matrix& m, const T* d, std::size_t c) {
  const std::size_t rows = m.size(), columns = m[0].size();
  std::vector<T> half(rows * columns * c), out(rows * rows * c);
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t i = 0; i < columns; ++i)
      add_scaled(&half[r * columns * c], m[r][i], d + i * columns * c, columns * c);
    for (std::size_t s = 0; s < rows; ++s)
      for (std::size_t j = 0; j < columns; ++j)
        add_scaled(&out[(r * rows + s) * c], m[s][j], &half[(r * columns + j) * c], c);
  }
  return out;
}
// Writes |part[e][...]| of row `row` to to[e][row][...], where each e has `rows` rows.
template <class T>
void spread(const std::vector<T>& part, std::size_t elements, std::size_t rows, std::size_t row, T* to) {
  const std::size_t c = part.size() / elements;
  for (std::size_t e = 0; e < elements; ++e)
    for (std::size_t k = 0; k < c; ++k) to[(e * rows + row) * c + k] = std::abs(part[e * c + k]);
}

// Returns |A^T| (|U| |V|) |A|, summed over the channels, for V = B^T d B; with `bounded` for |B^T| |d| |B|.
template <class T>
Tensor winograd_magnitude(const Conv2dArgs& args, const Axis& axis, bool bounded, const Tensor& x,
                          const Tensor& w, const Shape& shape) {
  const auto size = [](std::int64_t n) { return static_cast<std::size_t>(n); };
  const std::size_t across = axis.input.size(), elements = across * across, in = size(x.dim(3)),
                    out = size(w.dim(0));
  const std::int64_t down = (shape[1] + 3) / 4, along = (shape[2] + 3) / 4, tiles = shape[0] * down * along;
  const std::size_t filter = out * in;
  const auto* u = reinterpret_cast<const T*>(
      w.storage()->derived(across == 9 ? "winograd bound, strided" : "winograd bound",
                           elements * filter * sizeof(T), [&](std::byte* memory) {
                             parallel_for(w.dim(0), 1, [&](std::int64_t o, std::int64_t) {
                               spread(sandwich(axis.filter, w.data<T>() + size(o) * 9 * in, in), elements,
                                      out, size(o), reinterpret_cast<T*>(memory));
                             });
                           }));
  Tensor v = empty({static_cast<std::int64_t>(elements), tiles, x.dim(3)}, x.dtype(), x.device()),
         m = empty({static_cast<std::int64_t>(elements), tiles, w.dim(0)}, x.dtype(), x.device()),
         y = empty(shape, x.dtype(), x.device());
  const Matrix input = bounded ? absolute(axis.input) : axis.input, output = absolute(axis.output);
  T *const to_v = v.mutable_data<T>(), *const to_y = y.mutable_data<T>();
  parallel_for(tiles, 1, [&](std::int64_t tile, std::int64_t) {
    const std::int64_t n = tile / (down * along), top = tile / along % down * axis.step - args.padding[0],
                       left = tile % along * axis.step - args.padding[1];
    std::vector<T> patch(elements * in);
    for (std::size_t i = 0; i < elements; ++i) {
      const std::int64_t h = top + static_cast<std::int64_t>(i / across),
                         column = left + static_cast<std::int64_t>(i % across);
      if (h < 0 || h >= x.dim(1) || column < 0 || column >= x.dim(2)) continue;
      const T* pixel = x.data<T>() + size((n * x.dim(1) + h) * x.dim(2) + column) * in;
      for (std::size_t k = 0; k < in; ++k) patch[i * in + k] = bounded ? std::abs(pixel[k]) : pixel[k];
    }
    spread(sandwich(input, patch.data(), in), elements, size(tiles), size(tile), to_v);
  });
  for (std::int64_t e = 0; e < static_cast<std::int64_t>(elements); ++e) {
    Tensor row = m.rows(e, e + 1).viewed_as({tiles, w.dim(0)});
    run(kernels::linear_fwd, x.device(), x.dtype(), v.rows(e, e + 1).viewed_as({tiles, x.dim(3)}).view(),
        View{u + size(e) * filter, {w.dim(0), x.dim(3)}, x.dtype()}, View{}, row.mut_view());
  }
  parallel_for(tiles, 1, [&](std::int64_t tile, std::int64_t) {
    const std::int64_t n = tile / (down * along), top = tile / along % down * 4, left = tile % along * 4;
    std::vector<T> part(elements * out);
    for (std::size_t e = 0; e < elements; ++e)
      std::copy_n(m.data<T>() + (e * size(tiles) + size(tile)) * out, out, &part[e * out]);
    const std::vector<T> made = sandwich(output, part.data(), out);
    for (std::int64_t i = 0; i < 4 && top + i < shape[1]; ++i)
      for (std::int64_t j = 0; j < 4 && left + j < shape[2]; ++j)
        std::copy_n(&made[size(4 * i + j) * out], out,
                    to_y + size((n * shape[1] + top + i) * shape[2] + left + j) * out);
  });
  return y;
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

// U is rounded once. The chain of each element of M has C products. Each axis takes, without FMA, at
// most 4 roundings from d to V and 4 from M to y (5 with stride 2).
ErrorTerms winograd_error(const Conv2dArgs& args, const Tensor& x, const Tensor& w, const Shape& y) {
  if (!kernels::cpu::winograd_applies<float>(args, w.view(), MutView{nullptr, y, x.dtype()})) return {};
  const bool strided = args.stride[0] == 2;
  const Axis axis = toom_cook(strided ? 2 : 3);
  const auto magnitude = [&](bool bounded) {
    return x.dtype() == DType::f64 ? winograd_magnitude<double>(args, axis, bounded, x, w, y)
                                   : winograd_magnitude<float>(args, axis, bounded, x, w, y);
  };
  return {{ErrorTerm::Kind::winograd, static_cast<double>(w.dim(3)) + (strided ? 11 : 9), magnitude(false)},
          {ErrorTerm::Kind::winograd, 8, magnitude(true)}};
}

}  // namespace reprise::ops
