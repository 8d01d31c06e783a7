// One way to do the exercises of lesson 12.
#include <cstdio>

#include "apps/tour/how_sure.h"
#include "apps/tour/sums.h"

using namespace reprise;
using tour::u, tour::wide;

namespace {

// 1. Pairs: a product rounds once and then goes through log2(n) additions, not n - 1.
bool pairs() {
  constexpr int n = 4096;
  const std::vector<float> x = tour::uniform(n, -1, 1, "tour/x"), w = tour::uniform(n, -1, 1, "tour/w");
  std::vector<float> products;
  double size = 0;
  for (std::size_t i = 0; i < n; ++i) {
    products.push_back(x[i] * w[i]);
    size += std::abs(wide(x[i]) * wide(w[i]));
  }
  const double error = std::abs(wide(tour::in_pairs(products.data(), n)) -
                                tour::product<double>(x.data(), w.data(), 0, n)),
               any_order = n * u * size, in_pairs = 13 * u * size;  // 1 + log2(4096), to the last 3 numbers
  std::printf("1. in pairs: error %.1e, bound %.1e instead of %.1e\n", error, in_pairs, any_order);
  return error < in_pairs;
}

// 2. A linear layer that forgets the last of n inputs: its largest error, in its bounds.
bool bug() {
  std::printf("2. a layer that forgets an input\n");
  double first = 0, last = 0;
  for (const int n : {64, 512, 4096, 32768}) {
    const Tensor x = randn({8, n}, 3).to(DType::f64).to(ref_device),
                 w = randn({10, n}, 4).to(DType::f64).to(ref_device);
    const tour::Told told = tour::told_by([&] { ops::linear(x, w); })[0];
    double largest = 0;
    for (std::int64_t i = 0; i < told.y.numel(); ++i) {
      const double forgotten = x.data<double>()[i / 10 * n + n - 1] * w.data<double>()[i % 10 * n + n - 1];
      largest = std::max(largest, std::abs(forgotten) / tour::worst_of(told, i));
    }
    std::printf("%8d inputs: %9.2f bounds\n", n, largest);
    if (n == 64) first = largest;
    last = largest;
  }
  return first > 1000 && last < 1;
}

// 3. The same network with its images stored in bf16: how many digits stay sure?
bool stores_in_bf16() {
  const auto network = tour::digit_reader(tour::draw(tour::digits, 1600, /*seed=*/1, "tour/digits/train"));
  network->to(DType::f64);
  network->to(ref_device);
  const Tensor images =
      tour::draw(tour::digits, 200, /*seed=*/1, "tour/digits/test").images.to(DType::f64).to(ref_device);
  int sure[2] = {0, 0};
  std::map<std::string, double> shares;
  for (int i = 0; i < 200; ++i) {
    for (const bool bf16 : {false, true}) {
      const tour::Margin m = tour::margin_of(*network, images.rows(i, i + 1), shares, bf16);
      sure[bf16] += m.margin > m.worst;
    }
  }
  std::printf("3. sure of 200 digits: %d in f32, %d where images are stored in bf16\n", sure[0], sure[1]);
  return sure[0] > sure[1] && sure[0] >= 198;
}

}  // namespace

int main() {
  const bool ok = pairs();
  return bug() && stores_in_bf16() && ok ? 0 : 1;
}
