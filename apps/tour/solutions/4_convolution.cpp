// One way to do the exercises of lesson 4.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <functional>

#include "engine/base/parallel.h"
#include "engine/base/random.h"
#include "engine/ops/ops.h"

using namespace reprise;

namespace {

constexpr std::int64_t pixels = 28 * 28, channels = 64;

Tensor random_tensor(const Shape& shape, const char* purpose) {
  RandomStream stream(0, purpose);
  std::vector<float> values(static_cast<std::size_t>(shape.numel()));
  for (float& v : values) v = static_cast<float>(stream.uniform(-1, 1));
  return tensor(shape, values);
}

double best_seconds(const std::function<void()>& f) {
  double best = 1e30;
  for (int i = 0; i < 7; ++i) {
    const auto start = std::chrono::steady_clock::now();
    f();
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best;
}

double largest_difference(const Tensor& a, const Tensor& b) {
  double worst = 0;
  for (std::int64_t i = 0; i < a.numel(); ++i)
    worst = std::max(
        worst, std::abs(static_cast<double>(a.data<float>()[i]) - static_cast<double>(b.data<float>()[i])));
  return worst;
}

// 1. A 1x1 convolution is a product already: its windows are the image
// itself. With outputs innermost it is several times as fast as with
// one sum at a time; the operations are the same, in another order.
bool loops_turned_round() {
  const Tensor x = random_tensor({4, 28, 28, channels}, "tour/x"),
               w = random_tensor({channels, 1, 1, channels}, "tour/w");
  const Tensor engine = ops::conv2d(x, w);
  Tensor y = empty(x.shape());
  const float *px = x.data<float>(), *pw = w.data<float>();
  float* py = y.mutable_data<float>();
  const double sums = best_seconds([&] {
    for (std::int64_t p = 0; p < 4 * pixels; ++p)
      for (std::int64_t o = 0; o < channels; ++o) {
        float sum = 0;
        for (std::int64_t c = 0; c < channels; ++c) sum += px[p * channels + c] * pw[o * channels + c];
        py[p * channels + o] = sum;
      }
  });
  const double first = largest_difference(y, engine);
  std::vector<float> turned(channels * channels);
  for (std::int64_t o = 0; o < channels; ++o)
    for (std::int64_t c = 0; c < channels; ++c)
      turned[static_cast<std::size_t>(c * channels + o)] = pw[o * channels + c];
  const double outputs = best_seconds([&] {
    for (std::int64_t p = 0; p < 4 * pixels; ++p) {
      float sum[channels] = {};
      for (std::int64_t c = 0; c < channels; ++c)
        for (std::int64_t o = 0; o < channels; ++o)
          sum[o] += px[p * channels + c] * turned[static_cast<std::size_t>(c * channels + o)];
      std::copy_n(sum, channels, py + p * channels);
    }
  });
  const double second = largest_difference(y, engine);
  std::printf("1. one thread: a sum at a time %.2f ms, outputs innermost %.2f ms: %.1f times as fast\n",
              sums * 1e3, outputs * 1e3, sums / outputs);
  return first < 1e-4 && second < 1e-4;
}

// 2. The windows of the product take nine times the memory of the image.
bool memory_of_windows() {
  const double image = 32.0 * 56 * 56 * 64 * 4, windows = 9 * image;
  std::printf("2. (32,56,56,64): the image %.1f MB, its windows %.1f MB, written once and read once more\n",
              image * 1e-6, windows * 1e-6);
  return windows / image == 9;
}

// 3. Winograd's form of a frozen filter is faster, and a little further from the exact result.
bool frozen() {
  const Tensor x = random_tensor({4, 28, 28, channels}, "tour/x"),
               w = random_tensor({channels, 3, 3, channels}, "tour/w");
  const Conv2dArgs same{.padding = {1, 1}};
  const Tensor exact = ops::conv2d(x.to(ref_device).to(DType::f64), w.to(ref_device).to(DType::f64), same);
  const auto error = [&](const Tensor& filter) {
    const Tensor y = ops::conv2d(x, filter, same);
    double squares = 0;
    for (std::int64_t i = 0; i < y.numel(); ++i)
      squares += std::pow(static_cast<double>(y.data<float>()[i]) - exact.data<double>()[i], 2);
    return std::sqrt(squares / static_cast<double>(y.numel()));
  };
  const double direct = error(w), sealed = error(w.sealed_copy());
  std::printf("3. rms error: %.1e direct, %.1e frozen: %.1f times\n", direct, sealed, sealed / direct);
  return sealed < 6 * direct;
}

}  // namespace

int main() {
  const bool done[] = {loops_turned_round(), memory_of_windows(), frozen()};
  return done[0] && done[1] && done[2] ? 0 : 1;
}
