#include "engine/core/tensor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/base/check.h"
#include "engine/ops/ops.h"
#include "tests/engine/expect_error.h"

namespace reprise {
namespace {

using testing::expect_error;

TEST(Shape, SizesAndChanges) {
  const Shape s{2, 3, 5};
  EXPECT_EQ(s.rank(), 3);
  EXPECT_EQ(s.numel(), 30);
  EXPECT_EQ(s[-1], 5);
  EXPECT_EQ(s[0], 2);
  EXPECT_EQ(Shape{}.numel(), 1);
  EXPECT_EQ((Shape{4, 0}).numel(), 0);
  EXPECT_EQ(s.with(-2, 7), (Shape{2, 7, 5}));
  EXPECT_EQ(s.drop_front(2), Shape{5});
  EXPECT_NE(s, (Shape{2, 3, 5, 1}));
  EXPECT_EQ(to_string(s), "[2, 3, 5]");
  EXPECT_EQ(to_string(Shape{}), "[]");
}

TEST(Shape, RefusesWhatCannotBe) {
  expect_error([] { Shape{1, 2, 3, 4, 5, 6, 7}; }, "rank 7", "6");
  expect_error([] { Shape{2, -1}; }, "dimension 1 is negative: -1");
  expect_error([] { Shape{std::int64_t{1} << 40, std::int64_t{1} << 40}; }, "overflows");
}

TEST(Tensor, HoldsValues) {
  const Tensor t = tensor({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(t.shape(), (Shape{2, 3}));
  EXPECT_EQ(t.dtype(), DType::f32);
  EXPECT_EQ(t.device(), cpu_device);
  EXPECT_EQ(t.bytes(), 24u);
  EXPECT_EQ(t.values<float>()[4], 5);
  EXPECT_EQ(full({}, 2.5).item(), 2.5);
  EXPECT_EQ(full({1}, 7, DType::i64).item(), 7);
  EXPECT_EQ(describe(t), "[2, 3]  f32 cpu");
  EXPECT_EQ(describe(Tensor()), "(none)");
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(t.data<float>()) % 64, 0u);
}

TEST(Tensor, RefusesWrongUse) {
  const Tensor t = zeros({2, 3});
  expect_error([&] { t.data<double>(); }, "f32, not f64");
  expect_error([&] { t.item(); }, "item", "[2, 3]");
  expect_error([&] { t.viewed_as({7}); }, "[7]", "[2, 3]");
  expect_error([&] { t.rows(1, 3); }, "[1, 3)");
  expect_error([&] { t.rows(2, 1); }, "[2, 1)");
  expect_error([&] { t.rows(-1, 1); }, "slice: rows [-1, 1) are not in [2, 3]");
  expect_error([] { zeros({}).rows(0, 0); }, "slice: rows [0, 0) are not in []");
  expect_error([] { Tensor().shape(); }, "undefined");
  expect_error([] { tensor({2}, {1, 2, 3}); }, "3 values", "[2]");
  expect_error([] { empty({2}, DType::f32, {Device::Kind::cuda, 99}); }, "cuda");
  expect_error(
      [&] {
        Tensor to = zeros({3, 2});
        copy_into(to, t);
      },
      "[2, 3]", "[3, 2]");
}

TEST(Tensor, ViewsShareStorageAndClonesDoNot) {
  Tensor t = tensor({3, 2}, {0, 1, 2, 3, 4, 5});
  Tensor row = t.rows(1, 2), flat = t.viewed_as({6}), copy = t.clone();
  EXPECT_EQ(row.shape(), (Shape{1, 2}));
  row.mutable_data<float>()[0] = 20;
  EXPECT_EQ(flat.data<float>()[2], 20);
  EXPECT_EQ(t.data<float>()[2], 20);
  EXPECT_EQ(copy.data<float>()[2], 2);
  EXPECT_EQ(flat.rows(4, 6).data<float>()[0], 4);
  EXPECT_EQ(row.raw_bytes().data(), static_cast<const void*>(t.data<float>() + 2));
  EXPECT_EQ(row.raw_bytes().size(), 8u);
  EXPECT_EQ(row.mut_view().ptr, t.data<float>() + 2);
  EXPECT_EQ(row.view().ptr, t.data<float>() + 2);
  EXPECT_EQ(row.sealed_copy().data<float>()[1], 3);
  EXPECT_EQ(row.clone().data<float>()[1], 3);
}

TEST(Tensor, VersionsCountChanges) {
  Tensor t = zeros({2});
  const std::uint64_t before = t.version();
  Tensor part = t.rows(0, 1);
  t.data<float>();
  EXPECT_EQ(t.version(), before);
  part.mutable_data<float>()[0] = 1;
  EXPECT_GT(t.version(), before);
}

TEST(Tensor, ADimensionThatIsNotThereIsAnError) {
  const Tensor t = zeros({2, 3});
  EXPECT_EQ(t.dim(-2), 2);
  for (const int i : {2, -3, 6, 1000})
    expect_error([&] { t.dim(i); }, "shape: [2, 3] has 2 dimensions", fmt::format("no dimension {};", i));
  expect_error([&] { zeros({}).dim(0); }, "has 0 dimensions");
  expect_error([&] { t.shape().with(2, 1); }, "no dimension 2");
  expect_error([&] { t.shape().drop_front(3); }, "no dimension 3");
  EXPECT_EQ(t.shape().drop_front(2), Shape{});
}

TEST(Tensor, AnUndefinedTensorSaysHowItComes) {
  Tensor t = zeros({2}), other = std::move(t);
  expect_error([&] { t.shape(); }, "undefined", "moved from", "zeros()");  // NOLINT: used after the move
}

TEST(Tensor, WithoutValuesUntilItIsWritten) {
  Tensor t = empty({2, 3});
  EXPECT_FALSE(t.is_written() || t.clone().is_written() || t.to(ref_device).is_written());
  EXPECT_FALSE(t.to(DType::f64).is_written() || t.rows(0, 1).is_written());
  expect_error([&] { t.raw_bytes(); }, "[2, 3]", "never written");
  expect_error([&] { ops::relu(t); }, "relu: the input was never given values", "full(), tensor()");
  expect_error([&] { ops::add(ones({2, 3}), t); }, "add: the b was never given values");
  t.mutable_data<float>();
  EXPECT_TRUE(t.is_written() && t.rows(1, 2).is_written() && empty({0, 3}).is_written());
  EXPECT_TRUE(t.sealed_copy().is_written() && t.to(ref_device).is_written());
}

TEST(Tensor, ListsOfAnotherType) {
  const Tensor labels = tensor<std::int64_t>({3}, {0, 1, 2});
  EXPECT_EQ(labels.dtype(), DType::i64);
  EXPECT_EQ(labels.data<std::int64_t>()[2], 2);
  EXPECT_EQ(tensor({3}, {0, 1, 2}).dtype(), DType::f32);
  EXPECT_EQ(tensor<double>({1}, {1. / 3}).item(), 1. / 3);
}

TEST(Tensor, RandnFollowsItsSeed) {
  const Tensor a = randn({100, 100}, 1);
  EXPECT_TRUE(std::ranges::equal(a.values<float>(), randn({10000}, 1).values<float>()));
  EXPECT_NE(a.rows(0, 1).viewed_as({100}).rows(0, 1).item(), randn({1}, 2).item());
  double sum = 0, squares = 0;
  const Tensor exact = a.to(DType::f64);
  for (const double v : exact.values<double>()) sum += v, squares += v * v;
  EXPECT_NEAR(sum / 10000, 0, 0.03);  // 3 standard deviations
  EXPECT_NEAR(squares / 10000, 1, 0.05);
}

TEST(Tensor, ConvertsDtypes) {
  const Tensor t = tensor({3}, {1.5f, -2.f, 3.25f});
  EXPECT_EQ(t.to(DType::f64).data<double>()[2], 3.25);
  EXPECT_EQ(t.to(DType::i64).data<std::int64_t>()[1], -2);
  EXPECT_EQ(t.to(DType::f64).to(DType::f32).data<float>()[0], 1.5f);
  EXPECT_EQ(t.to(DType::f32).data<float>(), t.data<float>()) << "a copy where nothing changes";
  EXPECT_EQ(t.to(ref_device).device(), ref_device);
}

TEST(Tensor, Bfloat16RoundsToNearestEven) {
  const auto round_trip = [](float v) { return to_float(to_bfloat16(v)); };
  EXPECT_EQ(round_trip(1.f), 1.f);
  EXPECT_EQ(round_trip(1.f + 0x1p-8f), 1.f);                // a tie goes to even: here down
  EXPECT_EQ(round_trip(1.f + 3 * 0x1p-8f), 1.f + 0x1p-6f);  // and here up
  EXPECT_EQ(round_trip(1.f + 0x1.8p-8f), 1.f + 0x1p-7f);
  EXPECT_EQ(round_trip(-0.f), 0.f);
  EXPECT_TRUE(std::signbit(round_trip(-0.f)));
  EXPECT_EQ(round_trip(3.4e38f), std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isnan(round_trip(std::numeric_limits<float>::quiet_NaN())));
  EXPECT_EQ(tensor({1}, {1.5f}).to(DType::bf16).item(), 1.5);
}

TEST(Device, NamesGoBothWays) {
  for (const char* name : {"ref", "cpu", "cuda:0", "cuda:1"}) EXPECT_EQ(to_string(parse_device(name)), name);
  EXPECT_EQ(parse_device("cuda").index, 0);
  EXPECT_EQ(parse_device(std::string_view("cuda:123").substr(0, 7)).index, 12) << "a part of a longer text";
  for (const char* name : {"", "gpu", "cuda:", "cuda:x", "cuda:1x", "cuda:-1", "cpu:0x"})
    EXPECT_THROW(parse_device(name), Error) << name;
}

TEST(Errors, CarryTheirScopesInnermostFirst) {
  const ErrorScope outer("task", "birds");
  try {
    const ErrorScope inner("layer", "conv1");
    throw_error("{} things", 3);
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "3 things\n  layer   conv1\n  task    birds");
  }
  EXPECT_EQ(error_context(), "\n  task    birds");
}

TEST(Errors, OurOwnFaultsNameThePlace) {
  try {
    const int two = 2;
    REPRISE_INVARIANT(two == 3, "got {}", two);
    FAIL();
  } catch (const InternalError& e) {
    EXPECT_NE(std::string(e.what()).find("got 2"), std::string::npos);
    EXPECT_NE(std::string(e.what()).find("tensor_test.cpp"), std::string::npos);
  }
}

}  // namespace
}  // namespace reprise
