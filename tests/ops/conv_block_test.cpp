// conv_block has the bits of its parts, on every instruction set; what it refuses.
#include "engine/ops/conv_block.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "engine/autograd/autograd.h"
#include "engine/base/error.h"
#include "engine/base/gpu.h"
#include "engine/ops/arithmetic.h"
#include "engine/ops/conv2d.h"
#include "engine/ops/reduce.h"
#include "engine/ops/unary.h"
#include "tests/ops/runner.h"

namespace reprise {
namespace {

struct Setting {
  Shape x, filter;  // filter has rank 0 if there is none
  bool residual;
  Activation activation;
  bool eval;
};

std::string name_of(Activation a) {
  return a == Activation::none ? "" : a == Activation::relu ? " relu" : " relu6";
}

std::vector<Tensor> inputs(const Setting& s, Device device, DType dtype) {
  const Shape row{s.x[3]};
  // Consecutive settings have equal sizes.
  // Values are sampled once per size, because sampling takes longer than the test.
  static std::string size;
  static testing::Case c("");
  if (const std::string wanted = to_string(s.x) + to_string(s.filter); wanted != size) {
    size = wanted;
    c = testing::Case("conv_block beside its parts");
    c.normal("x", s.x);
    c.normal("filter", s.filter);
    c.uniform("gamma", row, 0.5, 5);  // so that some results are above 6
    c.normal("beta", row);
    c.normal("residual", s.x);
    c.normal("mean", row);
    c.uniform("var", row, 0.25, 4);
  }
  std::vector<Tensor> made;
  for (const testing::Input& in : c.inputs) {
    const bool image = in.name == "x" || in.name == "residual";
    made.push_back(in.value.to(image ? dtype : parameter_dtype(dtype)).to(device).clone());
    if (made.size() <= 5) set_requires_grad(made.back());
  }
  if (s.filter.rank() == 0) made[1] = {};
  if (!s.residual) made[4] = {};
  return made;
}

// Returns standard normal values, and keeps them for the next call with this shape.
Tensor output_gradient(const Shape& shape) {
  static Tensor dy;
  if (!dy.defined() || dy.shape() != shape)
    dy = testing::Case("seed of conv_block").normal("dy", shape).value;
  return dy;
}

Tensor reprogrammed(const std::vector<Tensor>& in) {
  if (!in[1].defined()) return in[0];
  return ops::depthwise_conv2d(in[0], in[1], Conv2dArgs::same_size(in[1].dim(0), in[1].dim(1)));
}

ops::BatchNormResult parts(const Setting& s, const std::vector<Tensor>& in) {
  const Tensor b = reprogrammed(in);
  ops::BatchNormResult r =
      s.eval ? ops::BatchNormResult{ops::batch_norm_eval(b, in[5], in[6], in[2], in[3]), {}, {}}
             : ops::batch_norm(b, in[2], in[3]);
  if (in[4].defined()) r.y = ops::add(r.y, in[4]);
  if (s.activation == Activation::relu) r.y = ops::relu(r.y);
  if (s.activation == Activation::relu6) r.y = ops::relu6(r.y);
  return r;
}

ops::BatchNormResult fused(const Setting& s, const std::vector<Tensor>& in) {
  const ops::ConvBlock block{in[0], {}, in[1], in[2], in[3], in[4], {.activation = s.activation}};
  if (s.eval) return {ops::conv_block_eval(block, in[5], in[6]), {}, {}};
  return ops::conv_block(block);
}

void expect_same_bits(const Tensor& a, const Tensor& b, const char* what) {
  ASSERT_EQ(a.defined(), b.defined()) << what;
  if (!a.defined()) return;
  const Tensor on_host[] = {a.to(ref_device), b.to(ref_device)};
  const auto x = on_host[0].raw_bytes(), y = on_host[1].raw_bytes();
  EXPECT_TRUE(x.size() == y.size() && std::memcmp(x.data(), y.data(), x.size()) == 0) << what;
}

// Compares forward and backward of both on `device`.
void expect_equal(const Setting& s, Device device, DType dtype) {
  SCOPED_TRACE(to_string(s.x) + " filter " + to_string(s.filter) + (s.residual ? " residual" : "") +
               name_of(s.activation) + (s.eval ? " eval " : " ") + std::string(name_of(dtype)));
  const std::vector<Tensor> a = inputs(s, device, dtype), b = inputs(s, device, dtype);
  const auto one = fused(s, a), other = parts(s, b);
  expect_same_bits(one.y, other.y, "y");
  expect_same_bits(one.mean, other.mean, "mean");
  expect_same_bits(one.var, other.var, "var");
  const Tensor dy = output_gradient(one.y.shape()).to(dtype).to(device);
  backward(one.y, dy);
  backward(other.y, dy);
  const char* names[] = {"dx", "dfilter", "dgamma", "dbeta", "dresidual"};
  for (std::size_t i = 0; i < 5; ++i) expect_same_bits(grad(a[i]), grad(b[i]), names[i]);
}

TEST(ConvBlock, HasTheBitsOfItsParts) {
  const std::pair<Shape, Shape> sizes[] = {
      {{2, 7, 5, 3}, {3, 3, 3}},     {{3, 5, 4, 35}, {3, 3, 35}},      {{2, 6, 7, 17}, {5, 3, 17}},
      {{2, 4, 3, 20}, {1, 1, 20}},   {{6, 5, 4, 19}, {3, 3, 19}},      {{5, 7, 7, 512}, {3, 3, 512}},
      {{1, 60, 56, 64}, {3, 3, 64}}, {{3, 14, 14, 256}, {}},           {{2, 31, 33, 130}, {3, 3, 130}},
      {{2, 70, 2050, 1}, {3, 3, 1}}, {{2, 12, 6, 1024}, {5, 3, 1024}}, {{1, 12, 28, 512}, {3, 3, 512}},
  };
  for (const auto& [x, filter] : sizes)
    for (const bool residual : {false, true})
      for (const Activation activation : {Activation::none, Activation::relu, Activation::relu6})
        for (const bool eval : {false, true})
          for (const DType dtype : {DType::f32, DType::bf16}) {
            expect_equal({x, filter, residual, activation, eval}, cpu_device, dtype);
            if (gpu::count() > 0 && x.numel() < 30000)
              expect_equal({x, filter, residual, activation, eval}, {Device::Kind::cuda, 0}, dtype);
          }
}

TEST(ConvBlock, WhatIsFrozenHasNoGradientAndChangesNoOther) {
  const auto gradients = [](const Setting& s, const std::vector<Tensor>& in, Device device) {
    const Tensor y = fused(s, in).y;
    backward(y, output_gradient(y.shape()).to(DType::f32).to(device));
    std::vector<Tensor> all;
    for (std::size_t i = 0; i < 5; ++i) all.push_back(in[i].defined() ? grad(in[i]) : Tensor());
    return all;
  };
  // On cpu 128 channels are copied to another pitch.
  for (const Shape& filter : {Shape{3, 3, 3}, Shape{3, 3, 128}, Shape{}})
    for (const bool eval : {false, true})
      for (const Device device : {ref_device, cpu_device}) {
        const Setting s{{2, 7, 5, filter.rank() == 3 ? filter[2] : 3}, filter, true, Activation::relu, eval};
        const std::vector<Tensor> trained = gradients(s, inputs(s, device, DType::f32), device);
        for (unsigned frozen = 1; frozen < 31; ++frozen) {  // bit i: input i
          SCOPED_TRACE(fmt::format("filter {}, eval {}, frozen {:#b}", to_string(filter), eval, frozen));
          std::vector<Tensor> in = inputs(s, device, DType::f32);
          for (std::size_t i = 0; i < 5; ++i)
            if ((frozen >> i & 1) != 0 && in[i].defined()) in[i] = in[i].detach();
          if (frozen == 0b11101 && !in[1].defined()) continue;  // nothing is trained
          const std::vector<Tensor> some = gradients(s, in, device);
          for (std::size_t i = 0; i < 5; ++i)
            expect_same_bits(some[i], (frozen >> i & 1) != 0 ? Tensor() : trained[i], "gradient");
        }
      }
}

// Outputs of 16 MiB and more are written with non-temporal stores.
TEST(ConvBlock, HasTheBitsOfItsPartsWhereCachesDoNotHoldIt) {
  expect_equal({{1, 264, 256, 64}, {}, true, Activation::relu, false}, cpu_device, DType::f32);
  expect_equal({{1, 528, 256, 64}, {3, 3, 64}, true, Activation::relu, true}, cpu_device, DType::bf16);
}

// Backward recomputes a filter's output of more than 4 MiB.
TEST(ConvBlock, HasTheBitsOfItsPartsWhereBackwardComputesTheFilterAgain) {
  expect_equal({{2, 112, 112, 64}, {3, 3, 64}, true, Activation::relu, false}, cpu_device, DType::f32);
  expect_equal({{3, 112, 112, 64}, {5, 3, 64}, false, Activation::relu, false}, cpu_device, DType::bf16);
  expect_equal({{2, 56, 56, 256}, {3, 3, 256}, false, Activation::none, false}, cpu_device,
               DType::f32);  // padded pitch
}

TEST(ConvBlock, WithItsConvolutionHasTheBitsOfTheParts) {
  struct Sizes {
    Shape x, w;
    Conv2dArgs conv;
  };
  const Sizes sizes[] = {
      {{2, 7, 5, 19}, {70, 1, 1, 19}, {}},
      {{3, 14, 14, 64}, {256, 1, 1, 64}, {}},
      {{3, 7, 7, 1024}, {48, 1, 1, 1024}, {}},
      {{3, 9, 8, 33}, {40, 1, 1, 33}, {.stride = {2, 2}}},
      {{2, 11, 9, 3}, {16, 7, 7, 3}, {.stride = {2, 2}, .padding = {3, 3}}},
      {{2, 9, 7, 32}, {33, 3, 3, 32}, {.padding = {1, 1}}},  // Winograd's form
  };
  const NoGrad no_grad;
  for (const auto& [x_shape, w_shape, conv] : sizes)
    for (const bool residual : {false, true})
      for (const Activation activation : {Activation::none, Activation::relu, Activation::relu6})
        for (const DType dtype : {DType::f32, DType::bf16}) {
          SCOPED_TRACE(to_string(x_shape) + " " + to_string(w_shape) + (residual ? " residual" : "") +
                       name_of(activation) + " " + std::string(name_of(dtype)));
          testing::Case drawn("conv_block beside its parts");
          drawn.normal("w", w_shape);
          const Tensor x = drawn.normal("x", x_shape).value.to(dtype).to(cpu_device),
                       w = drawn.inputs[0].value.to(DType::f32).to(cpu_device).sealed_copy(),
                       between = ops::conv2d(x, w, conv);
          const std::vector<Tensor> in =
              inputs({between.shape(), {}, residual, activation, true}, cpu_device, dtype);
          ops::ConvBlock block{x, w, {}, in[2], in[3], in[4], {.conv = conv, .activation = activation}};
          const Tensor whole = ops::conv_block_eval(block, in[5], in[6]);
          block.x = between, block.w = {};
          expect_same_bits(whole, ops::conv_block_eval(block, in[5], in[6]), "y");
        }
}

TEST(ConvBlock, TrainedWithItsConvolutionHasTheBitsOfTheParts) {
  struct Sizes {
    Shape x, w;
    Conv2dArgs conv = {};
    std::int64_t filter = 0;  // the reprogramming filter's size
  };
  const Sizes sizes[] = {
      {{2, 7, 5, 19}, {70, 1, 1, 19}},
      {{1, 2, 1, 5}, {3, 1, 1, 5}},
      {{3, 14, 14, 64}, {1024, 1, 1, 64}},
      {{5, 7, 7, 64}, {2048, 1, 1, 64}},
      {{4, 28, 28, 128}, {64, 1, 1, 128}},
      {{2, 60, 56, 64}, {256, 1, 1, 64}},
      {{3, 9, 8, 33}, {40, 1, 1, 33}, {.stride = {2, 2}}},
      {{9, 28, 28, 64}, {256, 1, 1, 64}, {.stride = {2, 2}}},
      {{1, 112, 112, 256}, {32, 1, 1, 256}, {.stride = {2, 2}}},  // an image in parts
      {{2, 9, 7, 32}, {33, 3, 3, 32}, {.padding = {1, 1}}},
      {{1, 264, 256, 32}, {64, 1, 1, 32}},  // non-temporal stores
      {{2, 9, 7, 32}, {33, 3, 3, 32}, {.padding = {1, 1}}, 3},
      {{6, 9, 7, 24}, {34, 3, 3, 12}, {.padding = {1, 1}, .groups = 2}, 3},
      {{3, 56, 56, 16}, {64, 3, 3, 16}, {.padding = {1, 1}}, 3},  // sums over parts of two images
      {{9, 14, 14, 64}, {96, 3, 3, 64}, {.stride = {2, 2}, .padding = {1, 1}}, 3},
      {{3, 14, 14, 64}, {512, 1, 1, 64}, {}, 3},
      {{2, 13, 9, 3}, {40, 7, 7, 3}, {.stride = {2, 2}, .padding = {3, 3}}, 3},
      {{3, 112, 112, 3}, {64, 7, 7, 3}, {.stride = {2, 2}, .padding = {3, 3}}, 3},
  };
  for (const auto& [x_shape, w_shape, conv, size] : sizes) {
    testing::Case drawn("conv_block in training");
    drawn.normal("x", x_shape);
    drawn.normal("w", w_shape);
    for (const bool residual : {false, true})
      for (const Activation activation : {Activation::none, Activation::relu, Activation::relu6})
        for (const bool twice : {false, true})
          for (const DType dtype : {DType::f32, DType::bf16}) {
            SCOPED_TRACE(to_string(x_shape) + " " + to_string(w_shape) + (residual ? " residual" : "") +
                         name_of(activation) + (twice ? " twice " : " ") + std::string(name_of(dtype)));
            const Shape b = ops::conv2d_shape(zeros(x_shape), zeros(w_shape), conv);
            if (b.numel() > 100'000 && !(residual && activation != Activation::none))
              continue;  // large cases take long
            const Tensor w = drawn.inputs[1].value.to(DType::f32).to(cpu_device).sealed_copy();
            const Shape filter = size != 0 ? Shape{size, size, b[3]} : Shape{};
            std::vector<Tensor> of[2];
            for (int fused = 0; fused < 2; ++fused) {
              Tensor x = drawn.inputs[0].value.to(dtype).to(cpu_device).clone();
              set_requires_grad(x);
              const std::vector<Tensor> in =
                  inputs({b, filter, residual, activation, false}, cpu_device, dtype);
              const Tensor h = ops::affine(x, 2, 0);  // so that h is no leaf
              ops::ConvBlock block{
                  h, w, in[1], in[2], in[3], in[4], {.conv = conv, .activation = activation}};
              if (fused == 0) block.x = ops::conv2d(h, w, conv), block.w = {};
              const auto [y, mean, var] = ops::conv_block(block);
              Tensor loss = ops::sum(ops::mul(y, output_gradient(y.shape()).to(dtype).to(cpu_device)));
              if (twice) loss = ops::add(loss, ops::sum(ops::mul(h, h)));
              backward(loss);
              of[fused] = {y, mean, var, grad(x), grad(in[2]), grad(in[3])};
              if (residual) of[fused].push_back(grad(in[4]));
              if (size != 0) of[fused].push_back(grad(in[1]));
            }
            for (std::size_t i = 0; i < of[0].size(); ++i)
              expect_same_bits(of[0][i], of[1][i],
                               ("y, mean, var, gradients: number " + std::to_string(i)).c_str());
          }
  }
}

// A NaN or an infinity has the same effect as in the parts.
TEST(ConvBlock, PassesNotANumberOn) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    const Setting s{{1, 5, 20, 18}, {3, 3, 18}, true, Activation::relu, true};
    std::vector<Tensor> a = inputs(s, cpu_device, DType::f32), b = inputs(s, cpu_device, DType::f32);
    for (std::vector<Tensor>* in : {&a, &b}) (*in)[0].mutable_data<float>()[18 * 30 + 5] = bad;
    const Tensor y = fused(s, a).y, want = parts(s, b).y;
    expect_same_bits(y, want, "y");
    backward(y, ones(y.shape()));
    backward(want, ones(y.shape()));
    for (std::size_t i = 0; i < 5; ++i) expect_same_bits(grad(a[i]), grad(b[i]), "gradient");
  }
}

TEST(ConvBlock, RunsOnTheReferenceInDouble) {
  for (const bool eval : {false, true})
    for (const Device device : {ref_device, cpu_device})  // cpu has no f64 kernels
      expect_equal({{2, 5, 4, 3}, {3, 3, 3}, true, Activation::relu, eval}, device, DType::f64);
}

TEST(ConvBlock, KeepsNothingBetween) {
  const Setting s{{2, 9, 8, 16}, {3, 3, 16}, false, Activation::relu, false};
  std::vector<Tensor> in = inputs(s, cpu_device, DType::f32);
  const Tensor y = fused(s, in).y;
  in[0].mutable_data<float>()[0] = 1;
  try {
    backward(y, ones(s.x));
    FAIL() << "a changed input was not noticed";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("conv_block: input"), std::string::npos) << e.what();
  }
}

TEST(ConvBlock, RefusesWhatDoesNotFit) {
  const Tensor x = zeros({2, 4, 4, 3}), row = ones({3});
  const auto refuses = [&](const Tensor& filter, const Tensor& gamma, const Tensor& beta,
                           const Tensor& residual, const char* why, const Tensor& input) {
    try {
      ops::conv_block({input, {}, filter, gamma, beta, residual});
      ADD_FAILURE() << "no error: " << why;
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find(why), std::string::npos) << e.what();
    }
  };
  refuses({}, ones({4}), ones({4}), {}, "channels do not match the gamma; make the layer for C = ", x);
  refuses({}, row, ones({4}), {}, "beta has another shape", x);
  refuses(zeros({3, 3, 4}), row, row, {}, "expected a filter (R,S,3)", x);
  refuses(zeros({3, 2, 3}), row, row, {}, "of odd height and width", x);
  refuses(zeros({2, 3, 3, 3}), row, row, {}, "expected a filter (R,S,3)", x);
  refuses({}, ones({4, 3}), ones({4, 3}), {}, "gamma of rank 1", x);
  refuses({}, row, row, zeros({2, 4, 3, 3}), "residual has another shape", x);
  refuses({}, row, row, {}, "rank 4", zeros({2, 3}));
  refuses({}, row, row, {}, "one value per channel", zeros({1, 1, 1, 3}));
}

}  // namespace
}  // namespace reprise
