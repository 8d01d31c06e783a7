// The checks must be able to fail:
// error messages of the ops, and planted faults that the runner must find.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/autograd/gradcheck.h"
#include "engine/autograd/record.h"
#include "engine/base/error.h"
#include "engine/base/gpu.h"
#include "engine/ops/ops.h"
#include "engine/ops/optimizer_steps.h"
#include "tests/engine/expect_error.h"
#include "tests/ops/runner.h"

#ifdef REPRISE_CUDA_EMULATED
#include "tests/emulation/launch.h"
#endif

namespace reprise {
namespace {

// Returns the message of the Error that an op threw, or "".
std::string refusal(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

void expect_refusal(const std::function<void()>& f, const std::vector<std::string>& parts) {
  const std::string message = refusal(f);
  ASSERT_FALSE(message.empty()) << "nothing was refused";
  for (const std::string& part : parts)
    EXPECT_NE(message.find(part), std::string::npos) << "'" << part << "' is not in\n" << message;
}

TEST(Messages, ConvolutionSaysWhatCameAndWhatWasExpected) {
  const ErrorScope scope("layer", "layer2.1.conv1");
  EXPECT_EQ(refusal([] {
              ops::conv2d(zeros({32, 16, 8, 8}), zeros({64, 3, 3, 16}));
            }),
            "conv2d: the input's channels do not match the filter\n"
            "  input   [32, 16, 8, 8]  (N,H,W,C)  f32 cpu\n"
            "  filter  [64, 3, 3, 16]  (O,R,S,I)  f32 cpu   expects C = 16, got 8\n"
            "  layer   layer2.1.conv1");
}

TEST(Messages, Convolution) {
  const Tensor x = zeros({2, 5, 4, 3}), w = zeros({6, 3, 3, 3});
  expect_refusal(
      [&] {
        ops::conv2d(x, zeros({6, 7, 3, 3}));
      },
      {"conv2d: the input is smaller than the filter"});
  expect_refusal([&] { ops::conv2d(x, w, {.stride = {0, 1}}); }, {"conv2d: stride", "got stride 0x1"});
  expect_refusal([&] { ops::conv2d(x, w, {.padding = {-1, 0}}); }, {"padding -1x0"});
  expect_refusal(
      [&] {
        ops::conv2d(x, zeros({5, 3, 3, 1}), {.groups = 3});
      },
      {"5 output channels cannot be split into 3 groups"});
  expect_refusal([&] { ops::conv2d(x, zeros({3, 3, 3})); }, {"rank 4", "[3, 3, 3]"});
  expect_refusal([&] { ops::conv2d(x, w.to(DType::f64)); }, {"the filter has another dtype", "f64"});
  expect_refusal([&] { ops::conv2d(x, w.to(ref_device)); }, {"the filter is on another device", "f32 ref"});
  expect_refusal([&] { ops::conv2d(x, Tensor()); }, {"the filter is missing", "(none)"});
  expect_refusal([&] { ops::conv2d(x, w, {}, zeros({5})); }, {"[5]"});
  expect_refusal(
      [&] {
        ops::depthwise_conv2d(x, zeros({3, 3, 4}));
      },
      {"depthwise_conv2d: the input's channels"});
  expect_refusal([&] { ops::depthwise_conv2d(x, zeros({3, 3, 3, 3})); }, {"a filter of rank 3"});
}

TEST(Messages, Products) {
  expect_refusal(
      [] {
        ops::linear(zeros({2, 3}), zeros({4, 5}));
      },
      {"linear: the input's features", "(O,I)"});
  expect_refusal([] { ops::linear(zeros({2, 3}), zeros({4, 3}), zeros({3})); }, {"the bias does not match"});
  expect_refusal([] { ops::linear(zeros({4, 3}), zeros({3, 4, 3})); }, {"a weight of rank 2"});
  expect_refusal(
      [] {
        ops::matmul(zeros({2, 3}), zeros({2, 3}));
      },
      {"matmul: the inner sizes K differ", "(K,N)"});
  expect_refusal([] { ops::matmul(zeros({2, 3}), zeros({3})); }, {"matmul: expected two matrices"});
}

TEST(Messages, SmallOps) {
  const Tensor x = zeros({2, 3}), empty_rows = zeros({0, 3});
  RandomStream stream(0, "test");
  expect_refusal([&] { ops::clamp(x, 2, 1); },
                 {"clamp: the lower bound 2 is above the upper bound 1", "[2, 3]"});
  expect_refusal([&] { ops::transpose(zeros({2, 3, 4})); }, {"transpose: expected a matrix", "[2, 3, 4]"});
  expect_refusal([&] { ops::sum(x, 2); }, {"sum: there is no element along dimension 2", "[2, 3]"});
  expect_refusal([&] { ops::mean(x, -3); }, {"mean: there is no element along dimension -3"});
  expect_refusal([&] { ops::max(empty_rows, 0); }, {"max: there is no element along dimension 0", "[0, 3]"});
  expect_refusal([&] { ops::cast(x, DType::i64); }, {"cast: expected a floating dtype, got i64", "[2, 3]"});
  EXPECT_EQ(ops::sum(empty_rows, 1).shape(), Shape{0});
  expect_refusal([&] { ops::dropout(x, 1, stream); }, {"dropout: expected a probability in [0, 1), got 1"});
  expect_refusal([&] { ops::cross_entropy(x, zeros({2}, DType::i64), 1.5); },
                 {"a smoothing in [0, 1], got 1.5"});
}

TEST(Clamp, PassesTheGradientAtItsBoundsAndReLU6DoesNot) {
  for (const Device device : {ref_device, cpu_device})
    for (const bool clamps : {true, false}) {
      const Tensor x = tensor({5}, {-1, 0, 3, 6, 7}).to(device);
      set_requires_grad(x);
      backward(ops::sum(clamps ? ops::clamp(x, 0, 6) : ops::relu6(x)));
      const float at_bound = clamps ? 1 : 0, expected[] = {0, at_bound, 1, at_bound, 0};
      for (int i = 0; i < 5; ++i) EXPECT_EQ(grad(x).data<float>()[i], expected[i]) << clamps << i;
    }
}

TEST(Max, GivesTheGradientToTheFirstLargest) {
  const Tensor x = tensor({5}, {1, 7, 3, 7, 7});
  set_requires_grad(x);
  const Tensor y = ops::max(x, 0);
  EXPECT_EQ(y.item(), 7);
  EXPECT_EQ(y.rank(), 0);
  backward(y);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(grad(x).data<float>()[i], i == 1 ? 1 : 0) << i;
}

TEST(Messages, BatchNorm) {
  const Tensor c = ones({3});
  expect_refusal(
      [&] {
        ops::batch_norm(zeros({1, 1, 1, 3}), c, c);
      },
      {"one value per channel has no variance", "use more images in the batch"});
  expect_refusal(
      [&] {
        ops::batch_norm(zeros({2, 2, 2, 4}), c, c);
      },
      {"channels do not match the gamma; make the layer for C = 4"});
  expect_refusal([&] { ops::batch_norm(zeros({2, 2, 2, 3}), c, ones({1, 3})); }, {"statistics of rank 1"});
  expect_refusal(
      [&] {
        ops::batch_norm(zeros({2, 2, 2, 3}), c, ones({4}));
      },
      {"channels do not match the beta"});
  const Tensor mean = zeros({3});
  set_requires_grad(mean);
  expect_refusal(
      [&] {
        ops::batch_norm_eval(zeros({2, 3}), mean, c, c, c);
      },
      {"the statistics are constants"});
}

TEST(Messages, ElementsAndShapes) {
  const Tensor x = zeros({2, 5, 3});
  expect_refusal([&] { ops::add(x, zeros({2})); }, {"add: the shapes do not match", "one value per channel"});
  expect_refusal([&] { ops::mul(x, zeros({5, 3})); }, {"mul: the shapes do not match"});
  expect_refusal([&] { ops::add(x, zeros({3, 1})); }, {"add: the shapes do not match"});
  expect_refusal([&] { ops::add(zeros({}), zeros({3})); }, {"add: the shapes do not match"});
  expect_refusal([&] { ops::add(x, Tensor()); }, {"add: the b is missing"});
  expect_refusal([&] { ops::add(Tensor(), x); }, {"add: the a is missing"});
  expect_refusal([&] { ops::relu(zeros({2}, DType::i64)); },
                 {"relu: the input must be a floating tensor", "i64"});
  expect_refusal([&] { ops::exp(Tensor()); }, {"exp: the input is missing"});
  expect_refusal([&] { ops::reshape(x, {7}); }, {"reshape", "[7]", "[2, 5, 3]"});
  expect_refusal([&] { ops::slice(x, 1, 3); }, {"slice: rows [1, 3)"});
  expect_refusal(
      [&] {
        ops::pad(x, {{0, 0}, {1, -1}, {0, 0}});
      },
      {"pad: the amounts (1, -1) of dimension 1"});
  expect_refusal([&] { ops::pad(x, {{0, 0}}); }, {"for each dimension, got 1"});
  expect_refusal([&] { ops::stride_slice(x, {0, 0, 0}, {1, 0, 1}); }, {"step 0 do not fit dimension 1"});
  expect_refusal([&] { ops::stride_slice(x, {0, 0, 0}, {1, 1}); }, {"for each dimension, got 3 and 2"});
  expect_refusal([&] { ops::stride_slice(x, {0, 0}, {1, 1, 1}); }, {"for each dimension, got 2 and 3"});
  expect_refusal([&] { ops::concat({x, zeros({2, 5, 4})}, 1); }, {"differ in more than dimension 1"});
  for (const int dim : {3, -4})
    expect_refusal(
        [&] {
          ops::concat({x, x}, dim);
        },
        {"concat: there is no dimension " + std::to_string(dim)});
  expect_refusal([&] { ops::concat({}, 0); }, {"at least one"});
}

TEST(Messages, OptimizerSteps) {
  using ops::Update;
  const Tensor w = zeros({2, 3}), other = zeros({3, 2}), rates = ops::sgd_rates(0.1, true);
  const auto sgd = [](Update update, const Tensor& rates_) {
    std::vector<Update> updates{std::move(update)};
    ops::sgd_step(updates, rates_, {.momentum = 0.5});
  };
  expect_refusal(
      [&] {
        sgd({w, other, {zeros({2, 3})}}, rates);
      },
      {"sgd_step: the grad does not have the parameter's shape", "[2, 3]", "[3, 2]"});
  expect_refusal([&] { sgd({w, zeros({2, 3}, DType::f64), {zeros({2, 3})}}, rates); }, {"sgd_step", "f64"});
  expect_refusal([&] { sgd({w, zeros({2, 3}), {other}}, rates); }, {"sgd_step: the momentum does not"});
  expect_refusal([&] { sgd({w, zeros({2, 3}), {}}, rates); }, {"sgd_step: expected 1 buffers, got 0"});
  expect_refusal(
      [&] {
        sgd({w, zeros({2, 3}), {zeros({2, 3})}}, ops::adam_rates(0.1, 1, {}));
      },
      {"sgd_step: expected 2 rates"});
  std::vector<Update> adam{{w, zeros({2, 3}), {zeros({2, 3}), other}}};
  expect_refusal([&] { ops::adam_step(adam, ops::adam_rates(0.1, 1, {}), {}); },
                 {"adam_step: the v does not"});
  expect_refusal([&] { ops::adam_rates(0.1, 0, {}); }, {"adam_step: steps count from 1, got 0"});
}

TEST(Messages, PoolingAndLoss) {
  const Tensor x = zeros({2, 5, 4, 3});
  expect_refusal([&] { ops::max_pool2d(x, {.kernel = {7, 2}}); }, {"smaller than the 7x2 window"});
  expect_refusal(
      [&] {
        ops::max_pool2d(x, {.kernel = {2, 2}, .padding = {2, 0}});
      },
      {"at most half the kernel"});
  expect_refusal(
      [&] {
        ops::max_pool2d(zeros({1, 20, 20, 1}), {.kernel = {16, 16}});
      },
      {"more than 255 taps"});
  for (const Pool2dArgs& args :
       {Pool2dArgs{.kernel = {0, 2}}, Pool2dArgs{.stride = {1, 0}}, Pool2dArgs{.padding = {0, -1}},
        Pool2dArgs{.kernel = {2, 0}, .stride = {0, 1}}}) {
    expect_refusal([&] { ops::max_pool2d(x, args); }, {"max_pool2d: kernel and stride start at 1"});
    expect_refusal([&] { ops::avg_pool2d(x, args); }, {"avg_pool2d: kernel and stride start at 1"});
  }
  expect_refusal([&] { ops::global_avg_pool(zeros({2, 3})); }, {"images of rank 4"});
  expect_refusal([&] { ops::global_avg_pool(zeros({2, 0, 4, 3})); }, {"images of rank 4"});
  expect_refusal([&] { ops::global_avg_pool(zeros({2, 4, 0, 3})); }, {"images of rank 4"});
  for (const Shape& shape : {Shape{3}, Shape{2, 0}, Shape{2, 3, 4}}) {
    expect_refusal([&] { ops::softmax(zeros(shape)); },
                   {"softmax: expected a matrix with at least one column"});
    expect_refusal([&] { ops::log_softmax(zeros(shape)); }, {"log_softmax: expected a matrix"});
    expect_refusal([&] { ops::argmax_rows(zeros(shape)); }, {"argmax_rows: expected a matrix"});
  }
  const Tensor logits = zeros({2, 3});
  const auto labels = [](std::vector<std::int64_t> v) {
    return tensor({static_cast<std::int64_t>(v.size())}, std::span<const std::int64_t>(v));
  };
  for (const Shape& shape : {Shape{2}, Shape{0, 3}, Shape{2, 0}, Shape{2, 3, 1}})
    expect_refusal([&] { ops::cross_entropy(zeros(shape), zeros({shape[0]}, DType::i64)); },
                   {"logits of rank 2, with a row and a column at least"});
  expect_refusal([&] { ops::cross_entropy(logits, labels({0, 3})); }, {"label 3 of row 1 is not in 0..2"});
  expect_refusal([&] { ops::cross_entropy(logits, labels({-1, 0})); }, {"label -1 of row 0"});
  expect_refusal([&] { ops::cross_entropy(logits, labels({0})); }, {"one label (i64) for each row"});
  expect_refusal([&] { ops::cross_entropy(logits, zeros({2})); }, {"one label (i64) for each row"});
  expect_refusal([&] { ops::normalize_images(zeros({1, 2, 2, 3})); }, {"expected u8 images"});
  const Tensor images = zeros({2, 2, 2, 3}, DType::u8), row = zeros({1}, DType::i64);
  EXPECT_EQ(ops::normalize_images(images, DType::f32, {}, row).shape(), (Shape{1, 2, 2, 3}));
  expect_refusal([&] { ops::normalize_images(images, DType::f32, {}, zeros({1})); }, {"rows as i64"});
  for (const std::int64_t outside : {-1, 2})
    expect_refusal(
        [&] {
          ops::normalize_images(images, DType::f32, {},
                                tensor({1}, std::span<const std::int64_t>(&outside, 1)));
        },
        {"is not in 0..1"});
}

TEST(Loss, IsStableWhereExponentialsOverflow) {
  const std::vector<std::int64_t> first{0};
  const Tensor logits = tensor({1, 2}, {1000.f, -1000.f}),
               labels = tensor({1}, std::span<const std::int64_t>(first));
  EXPECT_EQ(ops::cross_entropy(logits, labels).item(), 0);
  EXPECT_EQ(ops::cross_entropy(tensor({1, 2}, {-1000.f, 1000.f}), labels).item(), 2000);
  EXPECT_EQ(ops::softmax(logits).data<float>()[0], 1);
}

// All backends share the definition of a row, so only numbers by hand can find it wrong.
TEST(Norms, L12SumsTheNormsOfRows) {
  const Tensor x = tensor({2, 2}, {3, 4, 5, 12});
  EXPECT_EQ(ops::norm(x, NormKind::l12).item(), 18);
  EXPECT_EQ(ops::norm(x.viewed_as({4}), NormKind::l12).item(), ops::norm(x, NormKind::l2).item());
}

TEST(PlantedFaults, ComparisonFindsAWrongElement) {
  testing::Case c("planted");
  const Tensor want = c.normal("x", {4, 7}).value;
  Tensor got = want.clone();
  const auto differ = [&](double tolerance) {
    return testing::compare({{"y", got}}, {{"y", want}}, tolerance);
  };
  EXPECT_TRUE(differ(0).passed);
  const double right = got.data<double>()[11];
  got.mutable_data<double>()[11] = std::nextafter(right, 100);
  EXPECT_FALSE(differ(0).passed);
  EXPECT_TRUE(differ(1e-12).passed);
  got.mutable_data<double>()[11] = right + 1e-5;
  EXPECT_FALSE(differ(1e-6).passed);
  EXPECT_NE(differ(1e-6).report.find("y: element 11"), std::string::npos);
  got.mutable_data<double>()[11] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(differ(1e6).passed);
  got = want.viewed_as({28});
  EXPECT_FALSE(differ(1e6).passed);
}

// An image that begins in the middle of a vector of channels gives what an aligned copy gives.
TEST(Vectors, ImagesMayBeginAnywhere) {
  if (gpu::count() == 0) GTEST_SKIP() << "no GPU can be used here";
  const Device device{Device::Kind::cuda, 0};
  testing::Case c("not aligned");
  c.integers = true;
  const Tensor values = c.normal("x", {1 + 2 * 5 * 4 * 8}).value, w = c.normal("w", {3, 3, 8}).value;
  const Tensor filter = w.to(DType::f32).to(device), ones_ = ones({8}, DType::f32, device);
  for (const DType dtype : {DType::f32, DType::bf16}) {
    const Tensor whole = values.to(dtype).to(device);
    const Tensor x = ops::reshape(ops::slice(whole, 1, whole.dim(0)), {2, 5, 4, 8}), copy = x.clone();
    const auto results = [&](const Tensor& in) {
      const ops::BatchNormResult r = ops::batch_norm(in, ones_, ones_);
      const Conv2dArgs same = Conv2dArgs::same_size(3, 3);
      return std::vector{ops::depthwise_conv2d(in, filter, same), ops::max_pool2d(in), r.mean, r.var, r.y};
    };
    const std::vector<Tensor> got = results(x), want = results(copy);
    for (std::size_t i = 0; i < got.size(); ++i) {
      const Tensor a = got[i].to(ref_device), b = want[i].to(ref_device);
      EXPECT_TRUE(std::ranges::equal(a.raw_bytes(), b.raw_bytes())) << "result " << i << name_of(dtype);
    }
  }
}

#ifdef REPRISE_CUDA_EMULATED
// Rotates the lanes of a block to the left through shared memory, with or without a barrier.
std::vector<unsigned> rotated(emulation::Order order, bool with_barrier) {
  unsigned lanes[64] = {};
  std::vector<unsigned> to(64);
  emulation::set_order(order);
  emulation::launch_blocks(dim3(1), dim3(64), [&] {
    lanes[threadIdx.x] = 100 + threadIdx.x;
    if (with_barrier) __syncthreads();
    to[threadIdx.x] = lanes[(threadIdx.x + 1) % 64];
  });
  emulation::set_order(emulation::Order::forwards);
  return to;
}

TEST(PlantedFaults, OrdersOfThreadsFindAMissingBarrier) {
  using emulation::Order;
  const std::vector<unsigned> right = rotated(Order::forwards, true), wrong = rotated(Order::forwards, false);
  EXPECT_EQ(right[0], 101U);
  EXPECT_EQ(right[63], 100U);
  for (const Order order : {Order::backwards, Order::interleaved}) {
    EXPECT_EQ(rotated(order, true), right);
    EXPECT_NE(rotated(order, false), wrong);
  }
}
#endif

TEST(Cases, AnUnknownParameterIsRefused) {
  const auto& ops = cases::all();
  ASSERT_GT(ops.size(), 30u);
  for (const cases::OpCases& op : ops)
    if (op.op == "relu") {
      EXPECT_NO_THROW(op.make("x=2x3"));
      EXPECT_THROW(op.make("x=2x3 stride=2"), Error);
      EXPECT_THROW(op.make("x=2xa"), Error);
      EXPECT_THROW(op.make("fill=int"), Error);
    }
}

// Casts every floating-point dtype to every other, on every device that has both.
TEST(Cast, HasTheBitsOfTensorTo) {
  const double values[] = {0.1, -3.14159265358979, 1e-3, 257, 0};
  std::vector<Device> devices{cpu_device};
  if (gpu::count() > 0) devices.push_back({Device::Kind::cuda, 0});
  for (const Device device : devices)
    for (const DType from : {DType::f64, DType::f32, DType::bf16})
      for (const DType to : {DType::f32, DType::bf16}) {
        const Tensor x = tensor({5}, std::span<const double>(values), ref_device).to(from);
        const Tensor got = ops::cast(x.to(device), to).to(cpu_device), want = x.to(to);
        EXPECT_TRUE(std::ranges::equal(got.raw_bytes(), want.raw_bytes())) << name_of(from) << name_of(to);
      }
}

}  // namespace
}  // namespace reprise
