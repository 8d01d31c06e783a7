#include "engine/autograd/autograd.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "engine/autograd/record.h"
#include "engine/core/storage.h"
#include "engine/kernels/run.h"
#include "engine/ops/ops.h"
#include "tests/engine/expect_error.h"

namespace reprise {
namespace {

using testing::expect_error;

Tensor leaf(const Shape& shape, std::initializer_list<float> values) {
  const Tensor t = tensor(shape, values);
  set_requires_grad(t);
  return t;
}

std::vector<float> values_of(const Tensor& t) {
  const auto v = t.values<float>();
  return {v.begin(), v.end()};
}

TEST(Autograd, ATensorUsedTwiceGetsBothGradients) {
  const Tensor x = leaf({2}, {3, 5});
  backward(ops::sum(x * x + x));
  EXPECT_EQ(values_of(grad(x)), (std::vector<float>{7, 11}));
}

TEST(Autograd, AResultRetainsItsGradientWhereAsked) {
  const Tensor x = leaf({2}, {3, 5});
  const Tensor y = x * 2., z = y * y;
  retain_grad(y);
  backward(ops::sum(z + y));
  EXPECT_EQ(values_of(grad(y)), (std::vector<float>{13, 21}));
  EXPECT_FALSE(grad(z).defined());
  EXPECT_EQ(values_of(grad(x)), (std::vector<float>{26, 42}));
  retain_grad(tensor({1}, {1}));  // no gradient flows there
}

// A convolution adds its gradient to the input's sum in place, unless that memory is also a retained gradient.
TEST(Autograd, AConvolutionLeavesARetainedGradientAlone) {
  const Tensor w = full({1, 1, 1, 1}, 10);
  for (const bool view : {false, true}) {
    const Tensor x = leaf({1, 1, 2, 1}, {3, 5}), h = x * 2., c = ops::conv2d(h, w);
    const Tensor other = view ? ops::reshape(h, {2}) : h + ones({1});
    retain_grad(other);
    backward(ops::sum(c) + ops::sum(other));
    EXPECT_EQ(values_of(grad(other)), (std::vector<float>{1, 1})) << view;
    EXPECT_EQ(values_of(grad(x)), (std::vector<float>{22, 22})) << view;
  }
}

TEST(Autograd, BackwardKnowsTheLayerOfAnOp) {
  const Tensor x = leaf({2}, {3, 5});
  Tensor y;
  {
    const ErrorScope scope("layer", "layer9.conv");
    y = x * x;
  }
  Tensor changed = x;
  changed.mutable_data<float>()[0] = 4;
  expect_error([&] { backward(ops::sum(y)); }, "has changed since", "layer9.conv");
}

TEST(Autograd, GradientsAddUpUntilCleared) {
  const Tensor x = leaf({2}, {3, 5});
  backward(ops::sum(x * 2.));
  const Tensor first = grad(x);
  backward(ops::sum(x * 3.));
  EXPECT_EQ(values_of(grad(x)), (std::vector<float>{5, 5}));
  EXPECT_EQ(values_of(first), (std::vector<float>{2, 2})) << "a gradient that was handed out changed";
  clear_grad(x);
  EXPECT_FALSE(grad(x).defined());
}

TEST(Autograd, SlicesOfOneTensorAddTheirGradients) {
  const Tensor x = leaf({3}, {1, 2, 3});
  backward(ops::sum(ops::slice(x, 0, 2) + ops::slice(x, 1, 3) * 10.));
  EXPECT_EQ(values_of(grad(x)), (std::vector<float>{1, 11, 10}));
}

TEST(Autograd, AResultUsedTwiceIsWalkedOnce) {
  const Tensor x = leaf({1}, {2});
  const Tensor y = x * x;    // 4, dy/dx = 4
  backward(y * y + y * 3.);  // 2y + 3 = 11
  EXPECT_EQ(grad(x).item(), 44);
}

TEST(Autograd, NoGradRecordsNothing) {
  const Tensor x = leaf({2}, {3, 5});
  {
    const NoGrad scope;
    EXPECT_FALSE(grad_enabled());
    EXPECT_FALSE(requires_grad(x * 2.));
    { const NoGrad inner; }
    EXPECT_FALSE(grad_enabled());
  }
  EXPECT_TRUE(grad_enabled());
  EXPECT_TRUE(requires_grad(x * 2.));
}

TEST(Autograd, DetachCutsThePath) {
  const Tensor x = leaf({1}, {3});
  backward(x * x.detach());
  EXPECT_EQ(grad(x).item(), 3);
  EXPECT_FALSE(requires_grad(x.detach()));
  EXPECT_FALSE(requires_grad(x.clone()));
}

TEST(Autograd, OnlyLeavesKeepAGradient) {
  const Tensor x = leaf({1}, {3});
  const Tensor y = x * 2.;
  backward(y * 5.);
  EXPECT_FALSE(grad(y).defined());
  EXPECT_EQ(grad(x).item(), 10);
}

TEST(Autograd, BackwardTwiceIsAnError) {
  const Tensor x = leaf({1}, {3});
  const Tensor y = x * x;
  backward(y);
  expect_error([&] { backward(y); }, "the record of 'mul' was freed by an earlier backward",
               "run the forward again", "add the losses");
}

TEST(Autograd, ASavedTensorThatChangedIsRefusedByName) {
  Tensor x = leaf({2}, {3, 5}), w = leaf({2}, {1, 1});
  const Tensor y = ops::sum(x * w);
  w.mutable_data<float>()[0] = 2;
  expect_error([&] { backward(y); }, "changed since", "write to a clone()", "mul: b", "[2]");
}

TEST(Autograd, StrictModeFindsAPointerThatIsUsedLate) {
  Tensor x = leaf({2}, {3, 5}), w = leaf({2}, {1, 1});
  float* pointer = w.mutable_data<float>();
  const auto write_late = [&](float value) {
    const Tensor y = ops::sum(x * w);
    pointer[0] = value;
    backward(y);
  };
  write_late(2);  // nothing sees it
  set_strict(true);
  write_late(2);  // the same bytes
  expect_error([&] { write_late(4); }, "changed since", "a pointer of mutable_data was used late", "mul: b");
  set_strict(false);
}

TEST(Autograd, PlusAssignsALeafInPlaceAndOnlyWithoutRecording) {
  Tensor w = leaf({2}, {3, 5}), loss = zeros({});
  for (int i = 0; i < 3; ++i) loss += ops::sum(w * w);
  backward(loss);
  EXPECT_EQ(values_of(grad(w)), (std::vector<float>{18, 30}));
  const Tensor held = w;
  expect_error([&] { w += grad(w); }, "+=: a is a marked leaf", "NoGrad", "[2]");
  {
    const NoGrad no_grad;
    w += -0.5 * grad(w);
  }
  EXPECT_EQ(values_of(held), (std::vector<float>{-6, -10}));
  EXPECT_TRUE(is_leaf(w) && !is_leaf(loss) && !is_leaf(ones({2})));
}

TEST(Autograd, PlainNumbersOnEitherSide) {
  const Tensor x = leaf({2}, {3, 5});
  EXPECT_EQ(values_of(1.0 - x), (std::vector<float>{-2, -4}));
  EXPECT_EQ(values_of(1.0 + x), (std::vector<float>{4, 6}));
  EXPECT_EQ(values_of(x / 3.0), (std::vector<float>{1, 5.0F / 3}));  // a division, rounded once
  backward(ops::sum((1.0 - x) / 2.0));
  EXPECT_EQ(values_of(grad(x)), (std::vector<float>{-0.5, -0.5}));
}

TEST(Autograd, WhatWasNotSavedMayChange) {
  Tensor x = tensor({2}, {3, 5});  // needs no gradient, so backward does not need w
  Tensor w = leaf({2}, {1, 1});
  const Tensor y = ops::sum(x * w);
  w.mutable_data<float>()[0] = 2;
  EXPECT_NO_THROW(backward(y));
  EXPECT_EQ(values_of(grad(w)), (std::vector<float>{3, 5}));
}

TEST(Autograd, TheSeedMustFit) {
  const Tensor x = leaf({2}, {3, 5});
  expect_error([&] { backward(x * 2.); }, "does not have one element", "[2]");
  expect_error([&] { backward(x * 2., ones({3})); }, "the gradient", "[3]");
  expect_error([&] { backward(x * 2., ones({2}, DType::f64)); }, "the gradient", "f64");
  expect_error([] { backward(ones({1})); }, "wants a gradient", "call set_requires_grad", "NoGrad");
  const Tensor seed = tensor({2}, {1, 10});
  backward(x * 2., seed);
  EXPECT_EQ(values_of(grad(x)), (std::vector<float>{2, 20}));
}

TEST(Autograd, MarkingIsChecked) {
  expect_error([] { set_requires_grad(zeros({2}, DType::i64)); }, "i64");
  expect_error([] { set_requires_grad(zeros({2}).sealed_copy()); }, "sealed");
  const Tensor x = leaf({1}, {1});
  expect_error([&] { set_requires_grad(x * 2.); }, "result of an op");
  set_requires_grad(x, false);
  EXPECT_FALSE(requires_grad(x));
}

TEST(Autograd, AnOpWithoutGradientSaysSo) {
  const Tensor x = leaf({1}, {1});
  expect_error([&] { record_no_gradient("nowhere", {x}); }, "nowhere: this op has no gradient");
  EXPECT_NO_THROW(record_no_gradient("nowhere", {x.detach()}));
}

TEST(Autograd, AWrongGradientShapeIsOurFault) {
  const Tensor x = leaf({2}, {1, 2});
  const Tensor y = zeros({});
  record("odd", {x}, y, [](const Tensor& dy, const Needs&) { return std::vector{dy}; });
  EXPECT_THROW(backward(y), InternalError);
}

std::set<std::string>& kernels_run() {
  static std::set<std::string> names;
  return names;
}

// Returns the kernels that backward runs for a convolution whose input and filter may be frozen.
std::set<std::string> backward_kernels(bool input, bool filter) {
  const Tensor x = ones({2, 5, 4, 3}), w = ones({2, 3, 3, 3});
  if (input) set_requires_grad(x);
  if (filter) set_requires_grad(w);
  const Tensor y = ops::conv2d(x, w);
  kernels_run().clear();
  set_kernel_observer([](const char* name, Device::Kind, DType) { kernels_run().insert(name); });
  backward(y, ones(y.shape()));
  set_kernel_observer(nullptr);
  return kernels_run();
}

TEST(Autograd, OnlyNeededGradientsAreComputed) {
  EXPECT_EQ(backward_kernels(true, false), (std::set<std::string>{"conv2d_dgrad"}));
  EXPECT_EQ(backward_kernels(false, true), (std::set<std::string>{"conv2d_wgrad"}));
  EXPECT_EQ(backward_kernels(true, true), (std::set<std::string>{"conv2d_dgrad", "conv2d_wgrad"}));
}

TEST(Autograd, AConvolutionAddsToItsInputsGradientInPlace) {
  const Tensor x = leaf({1, 1, 2, 1}, {3, 5}), h = x * 2., c = ops::conv2d(h, full({1, 1, 1, 1}, 10));
  const Tensor loss = ops::sum(c) + ops::sum(ops::relu(h));
  kernels_run().clear();
  set_kernel_observer([](const char* name, Device::Kind, DType) { kernels_run().insert(name); });
  backward(loss);
  set_kernel_observer(nullptr);
  EXPECT_TRUE(kernels_run().contains("conv2d_dgrad"));
  EXPECT_FALSE(kernels_run().contains("binary")) << "a sum of two gradients in new memory";
  EXPECT_EQ(values_of(grad(x)), (std::vector<float>{22, 22}));
}

TEST(Autograd, BackwardFreesWhatWasSaved) {
  const Tensor x = leaf({1}, {0.5f});
  Tensor y = ops::mul(ones({1 << 16}), x);
  for (int i = 0; i < 4; ++i) y = ops::tanh(y);  // each op saves its output
  const Tensor loss = ops::sum(y);
  const std::size_t before = memory_stats().in_use;
  backward(loss);
  EXPECT_LE(memory_stats().in_use + 3 * (4 << 16), before);
}

TEST(Autograd, ALongChainDoesNotExhaustTheStack) {
  const Tensor x = leaf({1}, {1});
  {
    Tensor y = x;
    for (int i = 0; i < 200000; ++i) y = y + 1.;
    EXPECT_EQ(y.item(), 200001);
  }  // freed without a backward
  Tensor y = x;
  for (int i = 0; i < 200000; ++i) y = y + 1.;
  backward(y);
  EXPECT_EQ(grad(x).item(), 1);
}

TEST(Autograd, TheTapeCanBeRead) {
  const Tensor x = leaf({2}, {3, 5});
  const std::string tape = describe_tape(ops::sum(ops::relu(x * tensor({2}, {1, 2}))));
  EXPECT_LT(tape.find("sum"), tape.find("relu"));
  EXPECT_LT(tape.find("relu"), tape.find("mul"));
  EXPECT_NE(tape.find("leaf[2] const[2]"), std::string::npos) << tape;
  EXPECT_EQ(describe_tape(ones({1})), "(no record)\n");
}

TEST(Autograd, TheTapeNumbersLeavesFrom1) {
  const Tensor a = leaf({1}, {3}), b = leaf({1}, {5}), product = a * b, same = b * ones({1});
  using Kind = TapeOp::Input::Kind;
  std::string read;
  for (const TapeOp& op : tape(product + same))  // the last op first
    for (const TapeOp::Input& in : op.inputs)
      read += in.kind == Kind::leaf       ? fmt::format("leaf {} ", in.id)
              : in.kind == Kind::constant ? "const "
                                          : "op ";
  EXPECT_EQ(read, "op op leaf 1 const leaf 2 leaf 1 ");
  EXPECT_TRUE(tape(a).empty() && tape(ones({1})).empty());
}

}  // namespace
}  // namespace reprise
