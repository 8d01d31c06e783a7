// How sure is a digit? Bounds what rounding can do to a sum, to a layer and to a network's answer.
#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "apps/tour/drawings.h"
#include "apps/tour/how_sure.h"
#include "apps/tour/sums.h"
#include "engine/base/error.h"

using namespace reprise;
using tour::u, tour::wide;

namespace {

bool all_true = true;
void claim(bool holds, const char* what) {
  if (!holds) std::printf("NOT TRUE HERE: %s\n", what);
  all_true = all_true && holds;
}

// A product rounds once and then goes through at most n - 1 additions, in any order.
void one_sum() {
  std::printf("1. a sum of n products: errors in three orders, and what they cannot exceed\n");
  std::printf("%7s%11s%11s%11s%14s%18s\n", "n", "forwards", "backwards", "in pairs", "n u sum|x w|",
              "6 sqrt(n) u ...");
  for (const int n : {16, 256, 4096}) {
    const std::vector<float> x = tour::uniform(n, -1, 1, "tour/x"), w = tour::uniform(n, -1, 1, "tour/w");
    std::vector<float> products;
    double size = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      products.push_back(x[i] * w[i]);
      size += std::abs(wide(x[i]) * wide(w[i]));
    }
    const double exact = tour::product<double>(x.data(), w.data(), 0, n), worst = n * u * size,
                 probable = 6 * std::sqrt(n) * u * size,
                 errors[3] = {std::abs(wide(tour::forwards(products.data(), n)) - exact),
                              std::abs(wide(tour::backwards(products.data(), n)) - exact),
                              std::abs(wide(tour::in_pairs(products.data(), n)) - exact)};
    std::printf("%7d%11.1e%11.1e%11.1e%14.1e%18.1e\n", n, errors[0], errors[1], errors[2], worst, probable);
    for (const double error : errors) claim(error <= worst, "no order exceeds the worst case");
  }
}

// Asks two ops for their own bounds, in double, and compares the f32 results with them.
void one_layer() {
  std::printf("\n2. layers say their own bounds: the largest error of an output, in its bounds\n");
  const Tensor x = randn({2, 12, 12, 16}, 1), filter = randn({16, 3, 3, 16}, 2), rows = randn({8, 300}, 3),
               weight = randn({10, 300}, 4);
  const auto in_double = [](const Tensor& t) { return t.to(DType::f64).to(ref_device); };
  const auto show = [](const tour::Told& told, const Tensor& got, const char* what) {
    double largest = 0;
    for (std::int64_t i = 0; i < got.numel(); ++i)
      largest = std::max(
          largest, std::abs(wide(got.data<float>()[i]) - told.y.data<double>()[i]) / tour::worst_of(told, i));
    std::printf("%-26s", what);
    for (const ops::ErrorTerm& t : told.terms)
      if (t.kind != ops::ErrorTerm::Kind::bf16)
        std::printf("%s%.0f roundings", &t == told.terms.data() ? "" : ", ", t.roundings);
    std::printf(": %.1e\n", largest);
    claim(largest < 1, "an error is below its bound");
  };
  show(tour::told_by([&] { ops::linear(in_double(rows), in_double(weight)); })[0], ops::linear(rows, weight),
       "linear, 300 inputs");
  show(tour::told_by([&] { ops::conv2d(in_double(x), in_double(filter)); })[0], ops::conv2d(x, filter),
       "convolution 3x3x16");
  // A sealed filter may be transformed: Winograd's form has terms of its own.
  show(tour::told_by([&] { ops::conv2d(in_double(x), in_double(filter).sealed_copy()); })[0],
       ops::conv2d(x, filter.sealed_copy()), "the same, or Winograd's");
}

// A network reads digits. Which of its answers can no rounding change?
void a_network() {
  const tour::Drawings train = tour::draw(tour::digits, 1600, /*seed=*/1, "tour/digits/train");
  const tour::Drawings test = tour::draw(tour::digits, 200, /*seed=*/1, "tour/digits/test");
  const auto network = tour::digit_reader(train);
  const Tensor fast = (*network)(test.images);
  network->to(DType::f64);
  network->to(ref_device);
  const Tensor images = test.images.to(DType::f64).to(ref_device);
  std::map<std::string, double> shares;
  int right = 0, sure = 0, least = 0;
  double largest = 0;
  std::vector<tour::Margin> margins;
  for (int i = 0; i < 200; ++i) {
    margins.push_back(tour::margin_of(*network, images.rows(i, i + 1), shares));
    const tour::Margin& m = margins.back();
    right += m.label == test.labels.data<std::int64_t>()[i];
    sure += m.margin > m.worst;
    if (m.margin / m.worst <
        margins[static_cast<std::size_t>(least)].margin / margins[static_cast<std::size_t>(least)].worst)
      least = i;
    const float* z = fast.data<float>() + i * 10;
    largest = std::max(largest, std::abs(wide(z[m.label]) - wide(z[m.rival]) - m.margin) / m.worst);
  }
  const tour::Margin& m = margins[static_cast<std::size_t>(least)];
  std::printf("\n3. a network: %d of 200 digits read correctly, %d answers that no rounding changes\n", right,
              sure);
  std::printf("the least sure answer: a %d, not a %d, margin %.3f, bound %.1e\n", static_cast<int>(m.label),
              static_cast<int>(m.rival), m.margin, m.worst);
  std::printf("in f32 a margin moved by at most %.1e of its bound\n", largest);
  double sum = 0;
  for (const auto& [op, part] : shares) sum += part;
  for (const auto& [op, part] : shares)
    std::printf("%7.1f %% of the bounds from %s\n", 100 * part / sum, op.c_str());
  claim(sure >= 198 && largest < 1, "nearly all are sure, and f32 stays below");

  // Between two digits lies a fence. Bisection finds the mixture at which both are as likely.
  const Tensor a = images.rows(0, 1), b = images.rows(1, 2);
  const auto mixed = [&](double t) { return tour::margin_of(*network, a * (1 - t) + b * t, shares); };
  double low = 0, high = 1;
  const std::int64_t first = mixed(0).label;
  while (high - low > 1e-15) (mixed((low + high) / 2).label == first ? low : high) = (low + high) / 2;
  std::printf("\n4. from a %d to a %d: the answer changes where the second has a share of %.4f\n",
              static_cast<int>(first), static_cast<int>(mixed(high).label), low);
  std::printf("%12s%12s%12s\n", "away by", "margin", "sure");
  for (const double away : {1e-2, 1e-4, 1e-5, 1e-6, 1e-8}) {
    const tour::Margin near = mixed(low - away);
    std::printf("%12.0e%12.1e%12s\n", away, near.margin, near.margin > near.worst ? "yes" : "no");
  }
  claim(mixed(low - 1e-2).margin > mixed(low - 1e-2).worst && mixed(low).margin < mixed(low).worst,
        "only on the fence is an answer not sure");
}

}  // namespace

int main() try {
  one_sum();
  one_layer();
  a_network();
  return all_true ? 0 : 1;
} catch (const Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
