// One way to do the exercises of lesson 5.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "engine/autograd/autograd.h"
#include "engine/base/random.h"
#include "engine/ops/ops.h"
#include "layers/layers.h"

using namespace reprise;

namespace {

double at(const Tensor& t, std::int64_t i = 0) {
  return static_cast<double>(t.data<float>()[i]);
}

// Returns images (N,4,4,2) of normally distributed numbers with this mean and deviation 1.
Tensor noise(std::int64_t n, double mean, std::uint64_t index) {
  RandomStream stream(0, "tour/norm/solution", index);
  std::vector<float> values(static_cast<std::size_t>(n * 4 * 4 * 2));
  for (float& v : values) v = static_cast<float>(mean + stream.normal());
  return tensor({n, 4, 4, 2}, values);
}

// 1. Batch norm subtracts the bias again with the mean. So
// the bias gets no gradient but rounding errors.
bool bias_is_useless() {
  layers::Conv2d conv(2, 3, 3, {.padding = 1});
  layers::BatchNorm2d norm(3);
  conv.initialize(/*seed=*/0);
  backward(ops::sum(ops::relu(norm(conv(noise(8, 0, 0))))));
  double bias = 0, weight = 0;
  for (std::int64_t i = 0; i < 3; ++i) bias = std::max(bias, std::abs(at(grad(conv.bias), i)));
  for (std::int64_t i = 0; i < grad(conv.weight).numel(); ++i)
    weight = std::max(weight, std::abs(at(grad(conv.weight), i)));
  std::printf("1. largest gradient of a weight %.3f, of a bias %.1e\n", weight, bias);
  return bias < 1e-3 * weight;
}

// 2. The running mean begins at 0. After k batches around 5 it is near 5 (1 - 0.9^k).
bool slow_start() {
  layers::BatchNorm2d norm(2);
  const NoGrad nothing_to_record;
  bool close = true;
  std::printf("2. batches   running mean   5 (1 - 0.9^k)\n");
  for (int k = 1; k <= 50; ++k) {
    norm(noise(64, 5, static_cast<std::uint64_t>(k)));
    const double expected = 5 * (1 - std::pow(0.9, k));
    if (k == 1 || k == 10 || k == 50)
      std::printf("   %7d %14.3f %15.3f\n", k, at(norm.running_mean), expected);
    close = close && std::abs(at(norm.running_mean) - expected) < 0.1;
  }
  return close;
}

// 3. In evaluation batch norm is one linear function of each
// channel. It can be folded into the convolution before it:
//   w' = w gamma / s,   b' = (b - mean) gamma / s + beta   with s = sqrt(var + eps)
bool folded() {
  const NoGrad nothing_to_record;
  layers::Conv2d conv(2, 3, 3, {.padding = 1});
  layers::BatchNorm2d norm(3);
  conv.initialize(/*seed=*/0);
  for (std::uint64_t k = 0; k < 30; ++k) norm(conv(noise(16, 1, k)));
  norm.train(false);
  const Tensor x = noise(4, 1, 99), apart = norm(conv(x));
  for (std::int64_t o = 0; o < 3; ++o) {
    const double scale = at(norm.weight, o) / std::sqrt(at(norm.running_var, o) + norm.args.eps);
    for (std::int64_t i = 0; i < 3 * 3 * 2; ++i) {  // a filter's numbers lie together
      float& w = conv.weight.mutable_data<float>()[o * 18 + i];
      w = static_cast<float>(static_cast<double>(w) * scale);
    }
    conv.bias.mutable_data<float>()[o] =
        static_cast<float>((at(conv.bias, o) - at(norm.running_mean, o)) * scale + at(norm.bias, o));
  }
  const Tensor together = conv(x);
  double worst = 0;
  for (std::int64_t i = 0; i < apart.numel(); ++i)
    worst = std::max(worst, std::abs(at(apart, i) - at(together, i)));
  std::printf("3. convolution and batch norm, against one folded convolution: at most %.1e apart\n", worst);
  return worst < 1e-5;
}

}  // namespace

int main() {
  const bool done[] = {bias_is_useless(), slow_start(), folded()};
  return done[0] && done[1] && done[2] ? 0 : 1;
}
