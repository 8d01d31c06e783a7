// One convolution, three ways: by the formula, as a product of matrices, and
// by the engine. The results agree up to rounding; the speeds differ widely.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <vector>

#include "engine/base/parallel.h"
#include "engine/base/random.h"
#include "engine/kernels/cpu/base/machine.h"
#include "engine/ops/ops.h"

using namespace reprise;

namespace {

// x (N,H,W,C), filters (O,3,3,C), one pixel of zeros around the image, y (N,H,W,O).
constexpr std::int64_t n = 4, h = 28, w = 28, c = 64, o = 64, taps = 3;

Tensor random_tensor(const Shape& shape, const char* purpose) {
  RandomStream stream(0, purpose);
  std::vector<float> values(static_cast<std::size_t>(shape.numel()));
  for (float& v : values) v = static_cast<float>(stream.uniform(-1, 1));
  return tensor(shape, values);
}

// Calls f(r, s, ih, iw) for the taps of output pixel (i, j) that lie in the image.
template <class F>
void each_tap(std::int64_t i, std::int64_t j, F f) {
  for (std::int64_t r = 0; r < taps; ++r)
    for (std::int64_t s = 0; s < taps; ++s)
      if (const std::int64_t ih = i + r - 1, iw = j + s - 1; ih >= 0 && ih < h && iw >= 0 && iw < w)
        f(r, s, ih, iw);
}

// 1. The formula: y[n,i,j,o] = sum over r, s, c of x[n,i+r-1,j+s-1,c] * filters[o,r,s,c].
Tensor by_loops(const Tensor& x, const Tensor& filters) {
  Tensor y = empty({n, h, w, o});
  const float *px = x.data<float>(), *pf = filters.data<float>();
  float* py = y.mutable_data<float>();
  parallel_for(n * h, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row)
      for (std::int64_t j = 0; j < w; ++j)
        for (std::int64_t k = 0; k < o; ++k) {
          float sum = 0;
          each_tap(row % h, j, [&](std::int64_t r, std::int64_t s, std::int64_t ih, std::int64_t iw) {
            for (std::int64_t i = 0; i < c; ++i)
              sum += px[((row / h * h + ih) * w + iw) * c + i] * pf[((k * taps + r) * taps + s) * c + i];
          });
          py[(row * w + j) * o + k] = sum;
        }
  });
  return y;
}

// 2. A product: copies every output pixel's window into a row of
// 3*3*C numbers (im2col), then multiplies the rows by the filters.
Tensor by_product(const Tensor& x, const Tensor& filters) {
  Tensor windows = zeros({n * h * w, taps * taps * c});
  const float* px = x.data<float>();
  float* to = windows.mutable_data<float>();
  parallel_for(n * h, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row)
      for (std::int64_t j = 0; j < w; ++j)
        each_tap(row % h, j, [&](std::int64_t r, std::int64_t s, std::int64_t ih, std::int64_t iw) {
          std::copy_n(px + ((row / h * h + ih) * w + iw) * c, c,
                      to + ((row * w + j) * taps * taps + r * taps + s) * c);
        });
  });
  return ops::reshape(ops::linear(windows, ops::reshape(filters, {o, taps * taps * c})), {n, h, w, o});
}

// 3. The engine: keeps tiles of outputs in registers and reads packed filters; it writes no window.
Tensor by_engine(const Tensor& x, const Tensor& filters) {
  return ops::conv2d(x, filters, {.padding = {1, 1}});
}

// Returns the fastest time of f in seconds; it repeats f for 0.3 seconds.
double best_seconds(const std::function<void()>& f) {
  double best = 1e30;
  for (double spent = 0; spent < 0.3;) {
    const double start = seconds_now();
    f();
    const double took = seconds_now() - start;
    best = std::min(best, took);
    spent += took;
  }
  return best;
}

}  // namespace

int main() {
  const Tensor x = random_tensor({n, h, w, c}, "tour/x"),
               filters = random_tensor({o, taps, taps, c}, "tour/filters");
  const Tensor exact = ops::conv2d(x.to(ref_device).to(DType::f64), filters.to(ref_device).to(DType::f64),
                                   {.padding = {1, 1}});
  const double operations = 2.0 * n * h * w * o * c * taps * taps, limit = measure_machine().flops;
  std::printf(
      "x (%d,%d,%d,%d), filters (%d,3,3,%d): %.2f GFLOP. This machine reaches %.0f GFLOP/s on %d "
      "threads.\n\n",
      int{n}, int{h}, int{w}, int{c}, int{o}, int{c}, operations * 1e-9, limit * 1e-9, thread_count());
  std::printf("                          ms   GFLOP/s   of the limit   largest error\n");

  double loops = 0, engine = 0, worst = 0;
  const auto show = [&](const char* name, Tensor (*way)(const Tensor&, const Tensor&), const Tensor& with) {
    const Tensor y = way(x, with);
    double error = 0;
    for (std::int64_t i = 0; i < y.numel(); ++i)
      error = std::max(error, std::abs(static_cast<double>(y.data<float>()[i]) - exact.data<double>()[i]));
    const double seconds = best_seconds([&] { way(x, with); });
    std::printf("%-21s %7.2f %9.1f %12.1f %% %15.1e\n", name, seconds * 1e3, operations / seconds * 1e-9,
                100 * operations / seconds / limit, error);
    worst = std::max(worst, error);
    return seconds;
  };
  loops = show("plain loops", by_loops, filters);
  show("a product", by_product, filters);
  engine = show("the engine", by_engine, filters);
  show("the engine, frozen", by_engine, filters.sealed_copy());
  std::printf("\nthe engine is %.0f times as fast as the loops\n", loops / engine);
  return worst < 1e-3 && engine < loops / 3 ? 0 : 1;
}
