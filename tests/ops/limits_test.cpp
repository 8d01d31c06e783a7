// The least and the most that an op takes, with its result there, and what is refused just beyond.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "engine/autograd/autograd.h"
#include "engine/ops/ops.h"
#include "tests/engine/expect_error.h"

namespace reprise {
namespace {

using testing::expect_error;

std::vector<float> values_of(const Tensor& t) {
  const auto v = t.values<float>();
  return {v.begin(), v.end()};
}

TEST(Limits, ClampToASingleValue) {
  EXPECT_EQ(values_of(ops::clamp(tensor({3}, {-1, 2, 9}), 2, 2)), (std::vector<float>{2, 2, 2}));
}

// Where a ReLU or a clamp leaves a value as it is, a zero keeps its sign. A product's zero has the sign of its factors.
TEST(Limits, AZeroKeepsItsSign) {
  for (const Device device : {ref_device, cpu_device}) {
    const auto zeros_of_sign = [&](const Tensor& y, bool negative) {
      for (const float v : values_of(y.to(ref_device)))
        EXPECT_TRUE(v == 0 && std::signbit(v) == negative) << to_string(device);
    };
    const Tensor minus = full({19}, -0.0, DType::f32, device), plus = zeros({19}, DType::f32, device);
    const Tensor one = ones({19}, DType::f32, device), factor = full({}, -0.0, DType::f32, device);
    for (const Tensor& y : {ops::relu(minus), ops::relu6(minus), ops::clamp(minus, 0, 1),
                            ops::clamp(minus, -1, 0), one * factor})
      zeros_of_sign(y, true);
    for (const Tensor& y : {ops::relu(plus), ops::clamp(plus, -0.0, 1), ops::clamp(plus, -1, -0.0)})
      zeros_of_sign(y, false);
  }
}

TEST(Limits, TheSmallestNormalNumberHasALogarithm) {
  for (const float v : values_of(ops::log(full({19}, 0x1p-126)))) EXPECT_NEAR(v, -126 * std::log(2.0), 1e-5);
}

TEST(Limits, NoRowsGiveNoRows) {
  const Tensor y = ops::linear(empty({0, 35}), ones({7, 35})),
               none = ops::linear(ones({3, 35}), empty({0, 35}));
  EXPECT_EQ(y.shape(), (Shape{0, 7}));
  EXPECT_EQ(none.shape(), (Shape{3, 0}));
  EXPECT_EQ(values_of(ops::linear(empty({2, 0}), empty({2, 0}))), std::vector<float>(4));
  EXPECT_EQ(values_of(ops::matmul(empty({2, 0}), empty({0, 2}))), std::vector<float>(4));
  EXPECT_EQ(ops::add(empty({4, 0}), empty({0})).numel(), 0);
}

TEST(Limits, AFilterWithoutOutputsHasNoPartInTheGradient) {
  for (const Device device : {ref_device, cpu_device})
    for (const std::int64_t size : {1, 3}) {
      const Tensor x = ones({1, 5, 5, 4}, DType::f32, device);
      set_requires_grad(x);
      const Tensor y = ops::conv2d(x, empty({0, size, size, 4}, DType::f32, device), {});
      EXPECT_EQ(y.shape(), (Shape{1, 6 - size, 6 - size, 0}));
      backward(y, empty(y.shape(), DType::f32, device));
      EXPECT_EQ(values_of(grad(x).to(ref_device)), std::vector<float>(100)) << to_string(device) << size;
    }
}

TEST(Limits, ARowOfMoreChannelsThanAChunkHolds) {
  const Tensor sum = ops::add(ones({2, 70'000}), full({70'000}, 2));
  EXPECT_EQ(values_of(sum), std::vector<float>(140'000, 3));
}

// What nobody asks for is off, and the other numbers are PyTorch's.
TEST(Limits, PlainParameters) {
  const SgdArgs sgd;
  EXPECT_TRUE(sgd.momentum == 0 && sgd.dampening == 0 && sgd.weight_decay == 0 && !sgd.nesterov);
  const AdamArgs adam;
  EXPECT_TRUE(adam.beta1 == 0.9 && adam.beta2 == 0.999 && adam.eps == 1e-8 && adam.weight_decay == 0);
  EXPECT_FALSE(adam.decoupled);
  EXPECT_TRUE(sgd.penalty.lambda == 0 && adam.penalty.lambda == 0);
  const Pool2dArgs pool;
  EXPECT_TRUE(pool.count_include_pad && pool.divides && pool.padding == (std::array{0, 0}));
  const MatmulArgs product;
  EXPECT_FALSE(product.transpose_a || product.transpose_b);
}

TEST(Limits, OneValuePerChannel) {
  const Tensor a = tensor({3}, {1, 2, 3});
  EXPECT_EQ(values_of(ops::add(a, tensor({1, 3}, {10, 20, 30}))), (std::vector<float>{11, 22, 33}));
  const Tensor x = tensor({2, 2}, {6, 1, 9, 4}), row = tensor({2}, {3, 2});
  EXPECT_EQ(values_of(x + row), (std::vector<float>{9, 3, 12, 6}));
  EXPECT_EQ(values_of(x - row), (std::vector<float>{3, -1, 6, 2}));
  EXPECT_EQ(values_of(x * row), (std::vector<float>{18, 2, 27, 8}));
  EXPECT_EQ(values_of(x / row), (std::vector<float>{2, 0.5, 3, 2}));
}

TEST(Limits, DropoutKeepsTheNumberThatIsTheProbability) {
  const double p = RandomStream(1, "dropout").uniform();
  for (const double more : {0., 0x1p-53}) {
    RandomStream stream(1, "dropout");
    const Tensor y = ops::dropout(tensor({1}, {1}), p + more, stream);
    EXPECT_EQ(y.item() > 0, more == 0);
  }
}

TEST(Limits, RunningStatisticsNeedTwoValues) {
  const ops::BatchNormResult batch{{}, tensor({1}, {4}), tensor({1}, {3})};
  Tensor mean = tensor({1}, {2}), var = tensor({1}, {1});
  expect_error([&] { ops::update_running_stats(batch, 1, mean, var, {.momentum = 0.5}); },
               "expected at least 2 values per channel, got 1");
  for (const bool of_mean : {true, false}) {
    Tensor two = zeros({2});
    expect_error([&] { ops::update_running_stats(batch, 2, of_mean ? two : mean, of_mean ? var : two); },
                 "update_running_stats: the shapes differ", "[1]", "[2]");
  }
  ops::update_running_stats(batch, 2, mean, var, {.momentum = 0.5});
  EXPECT_EQ(mean.item(), 3);
  EXPECT_EQ(var.item(), 3.5);
}

TEST(Limits, AWindowMayBeAsLargeAsTheImage) {
  const Tensor x = ones({1, 3, 4, 1});
  for (const std::int64_t high : {3, 4})
    for (const std::int64_t wide : {4, 5}) {
      SCOPED_TRACE(fmt::format("{}x{}", high, wide));
      const Tensor filter = ones({1, high, wide, 1});
      const Pool2dArgs window{.kernel = {static_cast<int>(high), static_cast<int>(wide)}};
      const std::pair<const char*, std::function<Tensor()>> ops[] = {
          {"conv2d: the input is smaller than the filter", [&] { return ops::conv2d(x, filter); }},
          {"depthwise_conv2d: the input is smaller than the filter",
           [&] {
             return ops::depthwise_conv2d(x, filter.viewed_as({high, wide, 1}));
           }},
          {"max_pool2d: the input is smaller than the", [&] { return ops::max_pool2d(x, window); }},
          {"avg_pool2d: the input is smaller than the", [&] { return ops::avg_pool2d(x, window); }}};
      for (const auto& op : ops) {
        if (high > 3 || wide > 4)
          expect_error(op.second, op.first);
        else
          EXPECT_EQ(op.second().shape(), (Shape{1, 1, 1, 1})) << op.first;
      }
    }
}

TEST(Limits, AWindowOf255Taps) {
  const Tensor x = zeros({1, 15, 17, 1});
  Tensor(x).mutable_data<float>()[254] = 7;
  set_requires_grad(x);
  const Tensor y = ops::max_pool2d(x, {.kernel = {15, 17}});
  EXPECT_EQ(y.item(), 7);
  backward(ops::sum(y));
  EXPECT_EQ(grad(x).values<float>()[254], 1);
  expect_error([] { ops::max_pool2d(zeros({1, 16, 16, 1}), {.kernel = {16, 16}}); }, "more than 255 taps");
}

TEST(Limits, TheLargestOfMoreThan255Values) {
  for (const std::int64_t n : {1, 128, 255, 256, 257, 300, 382, 383, 384, 40000})
    for (const std::int64_t at : {std::int64_t{0}, n / 2, n - 1}) {
      SCOPED_TRACE(fmt::format("{} of {}", at, n));
      Tensor x = full({n, 2}, -5);
      x.mutable_data<float>()[2 * at + 1] = -3;
      set_requires_grad(x);
      const Tensor y = ops::max(x, 0);
      EXPECT_EQ(values_of(y), (std::vector<float>{-5, -3}));
      backward(ops::sum(y));
      EXPECT_EQ(grad(x).values<float>()[2 * at + 1], 1);
      EXPECT_EQ(grad(x).values<float>()[0], 1);
    }
}

TEST(Limits, ASliceMayBeginAtTheEnd) {
  const Tensor x = zeros({2, 3});
  EXPECT_EQ(ops::stride_slice(x, {0, 3}, {1, 2}).shape(), (Shape{2, 0}));
  EXPECT_EQ(ops::stride_slice(x, {0, 2}, {1, 2}).shape(), (Shape{2, 1}));
  for (const std::int64_t outside : {-1, 4})
    expect_error(
        [&] {
          ops::stride_slice(x, {0, outside}, {1, 2});
        },
        fmt::format("begin {} and step 2 do not fit dimension 1", outside));
}

TEST(Limits, NothingHasNoMeanAndNoNorm) {
  const Tensor nothing = zeros({0, 3});
  expect_error([&] { ops::mean(nothing); }, "mean: no elements", "[0, 3]");
  expect_error([&] { ops::norm(nothing, NormKind::l2); }, "norm: no elements", "[0, 3]");
  expect_error([&] { ops::norm({ones({1}), nothing}, NormKind::l1); }, "norm: no elements", "[0, 3]");
  EXPECT_EQ(ops::mean(full({1}, 5)).item(), 5);
  EXPECT_EQ(ops::norm(full({1}, -5), NormKind::l2).item(), 5);
}

TEST(Limits, SmoothingMayLeaveNothingOfTheLabel) {
  const Tensor logits = tensor({1, 2}, {0, 1});
  const float half = static_cast<float>((std::log1p(std::exp(1.)) + std::log1p(std::exp(-1.))) / 2);
  for (const std::int64_t label : {0, 1}) {
    const Tensor labels = tensor({1}, std::span<const std::int64_t>(&label, 1));
    EXPECT_FLOAT_EQ(static_cast<float>(ops::cross_entropy(logits, labels, 1).item()), half);
    for (const double outside : {-0.01, 1.01})
      expect_error([&] { ops::cross_entropy(logits, labels, outside); },
                   fmt::format("a smoothing in [0, 1], got {}", outside));
  }
}

}  // namespace
}  // namespace reprise
