// Local error bounds: small ones by hand, Winograd's by its matrices, and every op's errors below its own.
#include "engine/ops/error_bound.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "engine/autograd/autograd.h"
#include "engine/ops/ops.h"
#include "tests/ops/runner.h"

namespace reprise {
namespace {

using Kind = ops::ErrorTerm::Kind;

struct Told {
  std::string op;
  Tensor y;
  ops::ErrorTerms terms;
};
template <class F>
std::vector<Told> told_by(F run) {
  std::vector<Told> all;
  const ops::ErrorBounds bounds([&](std::string_view op, const Tensor& y, const auto& terms) {
    all.push_back({std::string(op), y, terms()});
  });
  run();
  return all;
}

Tensor doubles(const Shape& shape, const std::vector<double>& values) {
  return tensor(shape, std::span<const double>(values), ref_device);
}

// Expects that the one op says these terms: kind, roundings and magnitudes.
struct Expected {
  Kind kind;
  double roundings;
  std::vector<double> magnitude;
};
template <class F>
void expect_terms(F run, const std::string& op, std::vector<Expected> expected) {
  const std::vector<Told> told = told_by(run);
  ASSERT_EQ(told.size(), 1u) << op;
  EXPECT_EQ(told[0].op, op);
  for (const ops::ErrorTerm& t : told[0].terms) {
    const auto values = t.magnitude.values<double>();
    const auto same = [&](const Expected& e) {
      bool equal = e.kind == t.kind && e.roundings == t.roundings && e.magnitude.size() == values.size();
      for (std::size_t i = 0; equal && i < values.size(); ++i)
        equal = std::abs(e.magnitude[i] - std::abs(values[i])) < 1e-12;
      return equal;
    };
    const auto found = std::find_if(expected.begin(), expected.end(), same);
    ASSERT_NE(found, expected.end()) << op << ": a term of " << t.roundings << " roundings, " << values[0];
    expected.erase(found);
  }
  EXPECT_TRUE(expected.empty()) << op << ": " << expected.size() << " terms are missing";
}

TEST(ErrorBounds, SumsOfProductsByHand) {
  const Tensor x = doubles({1, 1, 1, 2}, {1, -2}), w = doubles({1, 1, 1, 2}, {3, 4});
  expect_terms([&] { ops::conv2d(x, w); }, "conv2d",  // y = -5
               {{Kind::direct, 2, {11}}, {Kind::bf16, 1, {11}}, {Kind::bf16, 1, {5}}});
  const Tensor nine = doubles({1, 3, 3, 1}, {1, -1, 1, -1, 1, -1, 1, -1, 1}),
               filter = ones({3, 3, 1}, DType::f64, ref_device);
  expect_terms(
      [&] {
        ops::conv2d(nine, filter.viewed_as({1, 3, 3, 1}));
      },
      "conv2d",  // y = 1
      {{Kind::direct, 9, {9}}, {Kind::bf16, 1, {9}}, {Kind::bf16, 1, {1}}});
  expect_terms([&] { ops::depthwise_conv2d(nine, filter); }, "depthwise_conv2d",
               {{Kind::f32, 9, {9}}, {Kind::bf16, 1, {1}}});
  const Tensor row = doubles({1, 3}, {1, -2, 3}), weight = doubles({2, 3}, {1, 1, 1, -1, 2, 0});
  expect_terms([&] { ops::linear(row, weight, doubles({2}, {-1, 4})); }, "linear", {{Kind::f32, 4, {7, 9}}});
  expect_terms([&] { ops::linear(row, weight); }, "linear", {{Kind::f32, 4, {6, 5}}});
}

TEST(ErrorBounds, MeansByHand) {
  const Tensor x = doubles({1, 2, 2, 1}, {1, -2, 3, -6});
  expect_terms([&] { ops::global_avg_pool(x); }, "global_avg_pool", {{Kind::f32, 5, {3}}});
  expect_terms([&] { ops::avg_pool2d(x); }, "avg_pool2d", {{Kind::f32, 5, {3}}, {Kind::bf16, 1, {1}}});
}

TEST(ErrorBounds, ElementsByHand) {
  const Tensor x = doubles({1, 2}, {1, -3}), one = doubles({2}, {2, 2});
  // y = (x - 2) / sqrt(3 + 1) 4 - 1 = -3, -11
  expect_terms(
      [&] {
        ops::batch_norm_eval(x, one, doubles({2}, {3, 3}), doubles({2}, {4, 4}), doubles({2}, {-1, -1}),
                             {.eps = 1});
      },
      "batch_norm_eval", {{Kind::f32, 6, {2, 10}}, {Kind::f32, 1, {3, 11}}, {Kind::bf16, 1, {3, 11}}});
  expect_terms([&] { ops::add(x, one); }, "add", {{Kind::f32, 1, {3, 1}}, {Kind::bf16, 1, {3, 1}}});
  expect_terms([&] { ops::sub(x, one); }, "sub", {{Kind::f32, 1, {1, 5}}, {Kind::bf16, 1, {1, 5}}});
  expect_terms([&] { ops::mul(x, one); }, "mul", {{Kind::f32, 1, {2, 6}}, {Kind::bf16, 1, {2, 6}}});
  expect_terms([&] { ops::div(x, one); }, "div", {{Kind::f32, 1, {.5, 1.5}}, {Kind::bf16, 1, {.5, 1.5}}});
  const Tensor pixel = tensor<std::uint8_t>({1, 1, 1, 1}, {51}, ref_device);  // 0.2, then -0.3, then -0.6
  NormalizeArgs args{{.5F}, {.5F}};
  expect_terms([&] { ops::normalize_images(pixel, DType::f64, args); }, "normalize_images",
               {{Kind::f32, 1, {.4}}, {Kind::f32, 2, {.6}}, {Kind::bf16, 1, {.6}}});
}

TEST(ErrorBounds, OfTrainingByHand) {
  // mean 1, variance 4, mean |x| 2: y = (x - 1) / 2 * 3 + 1 = 4, -2
  const Tensor x = doubles({2, 1}, {3, -1}), gamma = doubles({1}, {3}), beta = doubles({1}, {1});
  expect_terms(
      [&] { ops::batch_norm(x, gamma, beta, {.eps = 0}); }, "batch_norm",
      {{Kind::f32, 1, {4, 2}}, {Kind::bf16, 1, {4, 2}}, {Kind::f32, 8.5, {3, 3}}, {Kind::f32, 2, {3, 3}}});
  // Equal logits of two classes, two rows: |log softmax| = log 2 everywhere.
  const double log2 = std::log(2.0), size = 2 + 8 + 3 * log2 + 4 * 4 * log2 / 2;
  expect_terms(
      [&] {
        ops::cross_entropy(doubles({2, 2}, {1, 1, 5, 5}), tensor<std::int64_t>({2}, {0, 1}, ref_device));
      },
      "cross_entropy", {{Kind::f32, 1, {size}}});
}

TEST(ErrorBounds, ExactOpsSaySoAndOthersNothing) {
  const Tensor x = doubles({1, 2, 2, 1}, {1, -2, 3, -6});
  const auto told = told_by([&] {
    ops::relu(x), ops::relu6(x), ops::clamp(x, 0, 1), ops::max_pool2d(x), ops::reshape(x, {4, 1});
    ops::pad(x, {{0, 0}, {1, 1}, {0, 0}, {0, 0}}), ops::stride_slice(x, {0, 0, 0, 0}, {1, 2, 2, 1}),
        ops::concat({x, x}, 0);
  });
  EXPECT_EQ(told.size(), 8u);
  for (const Told& t : told) EXPECT_TRUE(t.terms.empty()) << t.op;
  EXPECT_TRUE(told_by([&] { ops::gelu(x), ops::exp(x), ops::softmax(doubles({1, 2}, {1, 2})); }).empty());
  EXPECT_FALSE(ops::ErrorBounds::wanted());
}

// The matrices that leaf/winograd.cpp describes, for the points 0, p, -p, q, -q and infinity.
TEST(ErrorBounds, WinogradsTermsAreThoseOfItsMatrices) {
  constexpr double p = 0.625, q = 1.5, p2 = p * p, q2 = q * q;
  const double bt[6][6] = {{p2 * q2, 0, -(p2 + q2), 0, 1, 0}, {0, -p * q2, -q2, p, 1, 0},
                           {0, p * q2, -q2, -p, 1, 0},        {0, -q * p2, -p2, q, 1, 0},
                           {0, q * p2, -p2, -q, 1, 0},        {0, p2 * q2, 0, -(p2 + q2), 0, 1}};
  const double at[4][6] = {{1, 1, 1, 1, 1, 0},
                           {0, p, -p, q, -q, 0},
                           {0, p2, p2, q2, q2, 0},
                           {0, p2 * p, -p2 * p, q2 * q, -q2 * q, 1}};
  const double np = 2 * p2 * (p2 - q2), nq = 2 * q2 * (q2 - p2);
  const double g[6][3] = {{1 / (p2 * q2), 0, 0},     {1 / np, p / np, p2 / np},  {1 / np, -p / np, p2 / np},
                          {1 / nq, q / nq, q2 / nq}, {1 / nq, -q / nq, q2 / nq}, {0, 0, 1}};
  constexpr int channels = 16;
  const Tensor x = randn({1, 6, 6, channels}, 1).to(DType::f64).to(ref_device),
               w = randn({16, 3, 3, channels}, 2).to(DType::f64).to(ref_device).sealed_copy();
  const auto told = told_by([&] { ops::conv2d(x, w); });
  ASSERT_EQ(told[0].terms.size(), 5u);
  EXPECT_EQ(told[0].terms[0].kind, Kind::winograd);
  EXPECT_EQ(told[0].terms[0].roundings, channels + 9);
  EXPECT_EQ(told[0].terms[1].roundings, 8);
  const int o = 5, row = 2, column = 3;
  double exact = 0, bounded = 0;
  for (int e = 0; e < 6; ++e)
    for (int f = 0; f < 6; ++f)
      for (int c = 0; c < channels; ++c) {
        double u = 0, v = 0, size = 0;
        for (int r = 0; r < 3; ++r)
          for (int s = 0; s < 3; ++s)
            u += g[e][r] * g[f][s] * w.data<double>()[((o * 3 + r) * 3 + s) * channels + c];
        for (int i = 0; i < 6; ++i)
          for (int j = 0; j < 6; ++j) {
            const double d = x.data<double>()[(i * 6 + j) * channels + c];
            v += bt[e][i] * bt[f][j] * d, size += std::abs(bt[e][i] * bt[f][j] * d);
          }
        const double back = std::abs(at[row][e] * at[column][f] * u);
        exact += back * std::abs(v), bounded += back * size;
      }
  const std::int64_t at_output = (row * 4 + column) * 16 + o;
  EXPECT_NEAR(told[0].terms[0].magnitude.data<double>()[at_output], exact, 1e-5 * exact);
  EXPECT_NEAR(told[0].terms[1].magnitude.data<double>()[at_output], bounded, 1e-5 * bounded);
}

// Returns the bound of every element in f32, or in bf16, for the form of convolution with the larger one.
std::vector<double> bound_of(const Told& told, bool bf16) {
  std::vector<double> all;
  for (std::int64_t i = 0; i < told.y.numel(); ++i) {
    double sums[4] = {};
    for (const ops::ErrorTerm& t : told.terms)
      sums[static_cast<int>(t.kind)] +=
          t.roundings * (t.kind == Kind::bf16 ? 0x1p-8 : 0x1p-24) * std::abs(t.magnitude.view().value(i));
    all.push_back(sums[0] + std::max(sums[1], sums[2]) + (bf16 ? sums[3] : 0));
  }
  return all;
}

// Returns the largest error of an element divided by its bound.
double share(const Tensor& got, const Told& told, bool bf16) {
  const std::vector<double> bound = bound_of(told, bf16);
  double largest = 0;
  for (std::int64_t i = 0; i < told.y.numel(); ++i) {
    const double error = std::abs(got.view().value(i) - told.y.view().value(i));
    if (error > 1e-37) largest = std::max(largest, error / bound[static_cast<std::size_t>(i)]);
  }
  return largest;
}

TEST(ErrorBounds, WinogradsErrorsStayBelow) {
  for (const int stride : {1, 2}) {
    const Tensor x = randn({2, 13, 18, 48}, 3), w = randn({40, 3, 3, 48}, 4);
    const Conv2dArgs args{.stride = {stride, stride}, .padding = {1, 1}};
    const auto told = told_by([&] {
      ops::conv2d(x.to(DType::f64).to(ref_device), w.to(DType::f64).to(ref_device).sealed_copy(), args);
    });
    const ops::ErrorTerms& t = told[0].terms;
    ASSERT_EQ(t[1].kind, Kind::winograd);
    EXPECT_EQ(t[0].roundings, stride == 1 ? 57 : 59);
    for (std::int64_t i = 0; i < told[0].y.numel(); ++i) {  // |y| is A^T (U V) A without the bars
      EXPECT_GE(t[0].magnitude.view().value(i) * (1 + 1e-5), std::abs(told[0].y.view().value(i)));
      EXPECT_GE(t[1].magnitude.view().value(i) * (1 + 1e-5), t[0].magnitude.view().value(i));
    }
    const double used = share(ops::conv2d(x, w.sealed_copy(), args), told[0], false);
    EXPECT_LT(used, 0.2);
    EXPECT_GT(used, 1e-3);
    EXPECT_LT(share(ops::conv2d(x, w, args), told[0], false), 0.2);  // the direct form
  }
}

// On every backend: each case of an op that says one bound. An op of several parts is left out.
TEST(ErrorBounds, EveryCasesErrorsStayBelow) {
  std::set<std::string> ops;
  for (const cases::OpCases& list : cases::all())
    for (const std::string& parameters : list.cases) {
      const cases::Case plain = list.make(parameters);
      if (cases::size_of(plain) > 20000) continue;
      for (const cases::Target& target : testing::targets("")) {
        const bool bf16 = target.dtype == DType::bf16;
        if (bf16 && plain.bf16_roundings == 0) continue;
        const cases::Case c = bf16 ? plain.rounded_to_bf16() : plain;
        const NoGrad no_grad;
        std::vector<Tensor> want;
        const auto told = told_by([&] { want = c.run(cases::inputs_on(c, {ref_device, DType::f64})); });
        if (told.size() != 1 || told[0].y.storage() != want[0].storage() || want[0].numel() == 0) continue;
        const Tensor got = c.run(cases::inputs_on(c, target))[0].to(cpu_device);
        if (told[0].terms.empty())
          EXPECT_EQ(share(got, {told[0].op, told[0].y, {{Kind::f32, 0, told[0].y}}}, false), 0) << c.name;
        else
          EXPECT_LE(share(got, told[0], bf16), 1) << c.name << " on " << testing::to_string(target);
        ops.insert(told[0].op);
      }
    }
  for (const char* op :
       {"add", "avg_pool2d", "batch_norm", "batch_norm_eval", "conv2d", "cross_entropy", "depthwise_conv2d",
        "global_avg_pool", "linear", "max_pool2d", "mul", "normalize_images", "relu"})
    EXPECT_TRUE(ops.contains(op)) << op;
}

}  // namespace
}  // namespace reprise
