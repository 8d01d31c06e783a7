// conv_tail beside its parts, to the bit, on every instruction set; where it is not fused; what it refuses.
#include "engine/ops/conv_tail.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "engine/autograd/autograd.h"
#include "engine/core/error.h"
#include "engine/core/gpu.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/run.h"
#include "engine/ops/arithmetic.h"
#include "engine/ops/conv2d.h"
#include "engine/ops/pool.h"
#include "engine/ops/reduce.h"
#include "engine/ops/unary.h"
#include "tests/ops/cases.h"

namespace reprise {
namespace {

struct Setting {
  Shape x, filter;  // no filter: rank 0
  bool residual, relu, eval;
  std::optional<Pool2dArgs> max_pool = {};
};

std::vector<Tensor> inputs(const Setting& s, Device device, DType dtype) {
  const bool grouped = s.filter.rank() == 4;
  const Shape row = grouped ? Shape{s.filter[0], s.x[3]} : Shape{s.x[3]};
  // The settings of one size follow one another. Its values are sampled once, as sampling takes longer than
  // the test.
  static std::string size;
  static testing::Case c("");
  if (const std::string wanted = to_string(s.x) + to_string(s.filter); wanted != size) {
    size = wanted;
    c = testing::Case("conv_tail beside its parts");
    c.normal("x", s.x);
    c.normal("filter", s.filter);
    c.uniform("gamma", row, 0.5, 2);
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
  // A max pool behind it turns some channels round.
  for (std::int64_t i = 1; s.max_pool && i < row.numel(); i += 2) {
    Tensor gamma = made[2].detach();
    if (made[2].dtype() == DType::f64)
      gamma.mutable_data<double>()[i] *= -1;
    else
      gamma.mutable_data<float>()[i] *= -1;
  }
  if (s.filter.rank() == 0) made[1] = {};
  if (!s.residual) made[4] = {};
  return made;
}

// Standard normal values, of which those of the shape before are kept.
Tensor output_gradient(const Shape& shape) {
  static Tensor dy;
  if (!dy.defined() || dy.shape() != shape) dy = testing::Case("seed of conv_tail").normal("dy", shape).value;
  return dy;
}

Tensor reprogrammed(const std::vector<Tensor>& in) {
  if (!in[1].defined()) return in[0];
  return ops::depthwise_conv2d(in[0], in[1], Conv2dArgs::same_size(in[1].dim(-3), in[1].dim(-2)));
}

// The parts but for a max pool.
ops::BatchNormResult parts(const Setting& s, const std::vector<Tensor>& in) {
  const Tensor b = reprogrammed(in);
  ops::BatchNormResult r =
      s.eval ? ops::BatchNormResult{ops::batch_norm_eval(b, in[5], in[6], in[2], in[3]), {}, {}}
             : ops::batch_norm(b, in[2], in[3]);
  if (in[4].defined()) r.y = ops::add(r.y, in[4]);
  if (s.relu) r.y = ops::relu(r.y);
  return r;
}

// The gradient of a max pool's input, whose winners have the largest b, or the smallest where gamma is below
// 0: rounded, other values of the input may be as large.
Tensor unpooled(const Pool2dArgs& pool, const Tensor& b, const Tensor& gamma, const Tensor& dy) {
  Tensor turned = b.to(DType::f64).clone();
  const Tensor factor = gamma.to(DType::f64);
  const std::int64_t channels = b.dim(3), image = b.numel() / b.dim(0),
                     group = b.dim(0) * channels / gamma.numel();
  for (std::int64_t i = 0; i < b.numel(); ++i)
    if (factor.data<double>()[i / image / group * channels + i % channels] < 0)
      turned.mutable_data<double>()[i] *= -1;
  turned = turned.to(b.dtype());
  Tensor y = empty(dy.shape(), dy.dtype(), dy.device()), taps = empty(dy.shape(), DType::u8, dy.device()),
         dx = empty(b.shape(), dy.dtype(), dy.device());
  run(kernels::max_pool2d_fwd, dy.device(), dy.dtype(), pool, turned.view(), y.mut_view(), taps.mut_view());
  run(kernels::max_pool2d_bwd, dy.device(), dy.dtype(), pool, dy.view(), taps.view(), dx.mut_view());
  return dx;
}

ops::BatchNormResult fused(const Setting& s, const std::vector<Tensor>& in) {
  const ops::ConvTail t{in[1], in[2], in[3], in[4], {.relu = s.relu}, s.max_pool};
  if (s.eval) return {ops::conv_tail_eval(in[0], in[5], in[6], t), {}, {}};
  return ops::conv_tail(in[0], t);
}

void expect_same_bits(const Tensor& a, const Tensor& b, const char* what) {
  ASSERT_EQ(a.defined(), b.defined()) << what;
  if (!a.defined()) return;
  const Tensor on_host[] = {a.to(ref_device), b.to(ref_device)};
  const auto x = on_host[0].raw_bytes(), y = on_host[1].raw_bytes();
  EXPECT_TRUE(x.size() == y.size() && std::memcmp(x.data(), y.data(), x.size()) == 0) << what;
}

// Sums over a max pool's winners alone have other roundings than those over all pixels, in bf16 one less for
// each; and 0 times an infinity is in the latter alone, so all that counts there is that neither is finite.
void expect_close(const Tensor& a, const Tensor& b, DType rounded_to, const char* what) {
  ASSERT_EQ(a.defined(), b.defined()) << what;
  if (!a.defined()) return;
  const Tensor one = a.to(DType::f64).to(ref_device), other = b.to(DType::f64).to(ref_device);
  double difference = 0, size = 0;
  for (std::int64_t i = 0; i < one.numel(); ++i) {
    const double x = one.data<double>()[i], y = other.data<double>()[i];
    ASSERT_EQ(std::isfinite(x), std::isfinite(y)) << what << " " << i;
    if (!std::isfinite(x)) continue;
    difference += (x - y) * (x - y);
    size += y * y;
  }
  EXPECT_LE(std::sqrt(difference), (rounded_to == DType::bf16 ? 5e-3 : 2e-6) * std::sqrt(size)) << what;
}

// Forward and backward of both, on that device.
void expect_equal(const Setting& s, Device device, DType dtype) {
  SCOPED_TRACE(to_string(s.x) + " filter " + to_string(s.filter) + (s.residual ? " residual" : "") +
               (s.relu ? " relu" : "") + (s.eval ? " eval " : " ") + (s.max_pool ? "max pool " : "") +
               std::string(name_of(dtype)));
  const std::vector<Tensor> a = inputs(s, device, dtype), b = inputs(s, device, dtype);
  const auto one = fused(s, a), other = parts(s, b);
  expect_same_bits(one.y, s.max_pool ? ops::max_pool2d(other.y, *s.max_pool) : other.y, "y");
  expect_same_bits(one.mean, other.mean, "mean");
  expect_same_bits(one.var, other.var, "var");
  const Tensor dy = output_gradient(one.y.shape()).to(dtype).to(device);
  backward(one.y, dy);
  if (!s.max_pool)
    backward(other.y, dy);
  else if (dtype == DType::f64)  // which nothing fuses
    backward(ops::max_pool2d(other.y, *s.max_pool), dy);
  else
    backward(other.y, unpooled(*s.max_pool, reprogrammed(b).detach(), b[2].detach(), dy));
  const char* names[] = {"dx", "dfilter", "dgamma", "dbeta", "dresidual"};
  for (std::size_t i = 0; i < 5; ++i) {
    const bool parameter = i == 2 || i == 3;
    if (s.max_pool && dtype != DType::f64 && (parameter || !s.eval))
      expect_close(grad(a[i]), grad(b[i]), dtype, names[i]);
    else
      expect_same_bits(grad(a[i]), grad(b[i]), names[i]);
  }
}

TEST(ConvTail, HasTheBitsOfItsParts) {
  const std::pair<Shape, Shape> sizes[] = {
      {{2, 7, 5, 3}, {3, 3, 3}},           {{3, 5, 4, 35}, {3, 3, 35}},
      {{2, 6, 7, 17}, {5, 3, 17}},         {{2, 4, 3, 20}, {1, 1, 20}},
      {{6, 5, 4, 19}, {3, 3, 3, 19}},      {{5, 7, 7, 512}, {3, 3, 512}},
      {{1, 60, 56, 64}, {3, 3, 64}},       {{3, 14, 14, 256}, {}},
      {{2, 31, 33, 130}, {3, 3, 130}},     {{2, 70, 2050, 1}, {3, 3, 1}},
      {{2, 12, 6, 1024}, {2, 5, 3, 1024}}, {{1, 12, 28, 512}, {3, 3, 512}},
  };
  for (const auto& [x, filter] : sizes)
    for (const bool residual : {false, true})
      for (const bool relu : {false, true})
        for (const bool eval : {false, true})
          for (const DType dtype : {DType::f32, DType::bf16}) {
            expect_equal({x, filter, residual, relu, eval}, cpu_device, dtype);
            if (gpu::count() > 0 && x.numel() < 30000)
              expect_equal({x, filter, residual, relu, eval}, {Device::Kind::cuda, 0}, dtype);
          }
}

// But for the gradients that come from sums over its winners.
TEST(ConvTail, WithAMaxPoolHasTheBitsOfItsParts) {
  const Pool2dArgs stem{{3, 3}, {2, 2}, {1, 1}}, apart{{2, 2}, {5, 3}, {0, 0}};
  const std::pair<Shape, Shape> sizes[] = {{{2, 9, 8, 3}, {3, 3, 3}},
                                           {{3, 12, 11, 35}, {}},
                                           {{6, 5, 4, 19}, {3, 3, 3, 19}},
                                           {{2, 13, 11, 512}, {3, 3, 512}},
                                           {{2, 112, 112, 64}, {3, 3, 64}}};
  for (const auto& [x, filter] : sizes)
    for (const Pool2dArgs& pool : {stem, apart})
      for (const bool relu : {false, true})
        for (const bool eval : {false, true})
          for (const DType dtype : {DType::f32, DType::bf16, DType::f64})
            if (dtype != DType::f64 || x.numel() < 5000)  // of which no kernel is fused
              expect_equal({x, filter, false, relu, eval, pool}, cpu_device, dtype);
  EXPECT_TRUE(ops::conv_tail_pool_is_fused(cpu_device, DType::bf16));
  EXPECT_FALSE(ops::conv_tail_pool_is_fused({Device::Kind::cuda, 0}, DType::f32));
}

// Outputs of 16 MiB and more are written past the caches.
TEST(ConvTail, HasTheBitsOfItsPartsWhereCachesDoNotHoldIt) {
  expect_equal({{1, 264, 256, 64}, {}, true, true, false}, cpu_device, DType::f32);
  expect_equal({{1, 528, 256, 64}, {3, 3, 64}, true, true, true}, cpu_device, DType::bf16);
}

TEST(ConvTail, BehindItsConvolutionHasTheBitsOfTheParts) {
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
      for (const bool relu : {false, true})
        for (const DType dtype : {DType::f32, DType::bf16}) {
          SCOPED_TRACE(to_string(x_shape) + " " + to_string(w_shape) + (residual ? " residual" : "") +
                       (relu ? " relu " : " ") + std::string(name_of(dtype)));
          testing::Case drawn("conv2d_tail beside its parts");
          drawn.normal("w", w_shape);
          const Tensor x = drawn.normal("x", x_shape).value.to(dtype).to(cpu_device),
                       w = drawn.inputs[0].value.to(DType::f32).to(cpu_device).sealed_copy(),
                       between = ops::conv2d(x, w, conv);
          const std::vector<Tensor> in =
              inputs({between.shape(), {}, residual, relu, true}, cpu_device, dtype);
          const ops::ConvTail tail{{}, in[2], in[3], in[4], {.relu = relu}};
          expect_same_bits(ops::conv2d_tail(x, w, conv, in[5], in[6], tail),
                           ops::conv_tail_eval(between, in[5], in[6], tail), "y");
        }
}

TEST(ConvTail, TrainedBehindItsConvolutionHasTheBitsOfTheParts) {
  struct Sizes {
    Shape x, w;
    Conv2dArgs conv = {};
    std::int64_t groups = 0;
    std::int64_t filter = 0;  // its size
    bool pool = false;
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
      {{6, 9, 7, 24}, {33, 1, 1, 24}, {}, 3},
      {{2, 9, 7, 32}, {33, 3, 3, 32}, {.padding = {1, 1}}},
      {{1, 264, 256, 32}, {64, 1, 1, 32}},  // past the caches
      {{2, 9, 7, 32}, {33, 3, 3, 32}, {.padding = {1, 1}}, 0, 3},
      {{6, 9, 7, 24}, {33, 1, 1, 24}, {}, 3, 3},
      {{3, 56, 56, 16}, {64, 3, 3, 16}, {.padding = {1, 1}}, 0, 3},  // sums over parts of two images
      {{9, 14, 14, 64}, {96, 3, 3, 64}, {.stride = {2, 2}, .padding = {1, 1}}, 0, 3},
      {{3, 14, 14, 64}, {512, 1, 1, 64}, {}, 0, 3},
      {{2, 13, 9, 5}, {512, 3, 3, 5}, {.padding = {1, 1}}, 0, 3, true},
      {{2, 13, 9, 3}, {40, 7, 7, 3}, {.stride = {2, 2}, .padding = {3, 3}}, 0, 3, true},
      {{2, 13, 9, 5}, {40, 3, 3, 5}, {.padding = {1, 1}}, 0, 0, true},
      {{4, 13, 9, 5}, {24, 3, 3, 5}, {.padding = {1, 1}}, 2, 3, true},
      {{3, 112, 112, 3}, {64, 7, 7, 3}, {.stride = {2, 2}, .padding = {3, 3}}, 0, 3, true},
  };
  for (const auto& [x_shape, w_shape, conv, groups, size, pool] : sizes) {
    testing::Case drawn("conv2d_tail in training");
    drawn.normal("x", x_shape);
    drawn.normal("w", w_shape);
    for (const bool residual : {false, true})
      for (const bool relu : {false, true})
        for (const bool twice : {false, true})
          for (const DType dtype : {DType::f32, DType::bf16}) {
            SCOPED_TRACE(to_string(x_shape) + " " + to_string(w_shape) + (residual ? " residual" : "") +
                         (relu ? " relu" : "") + (twice ? " twice " : " ") + std::string(name_of(dtype)));
            const Shape b = ops::conv2d_shape(zeros(x_shape), zeros(w_shape), conv);
            if (b.numel() > 100'000 && !((residual || pool) && relu)) continue;  // they take long
            if (residual && pool) continue;
            const Tensor w = drawn.inputs[1].value.to(DType::f32).to(cpu_device).sealed_copy();
            const Shape filter = groups != 0 ? Shape{groups, std::max<std::int64_t>(1, size),
                                                     std::max<std::int64_t>(1, size), b[3]}
                                 : size != 0 ? Shape{size, size, b[3]}
                                             : Shape{};
            std::optional<Pool2dArgs> max_pool;
            if (pool) max_pool = Pool2dArgs{{3, 3}, {2, 2}, {1, 1}};
            std::vector<Tensor> of[2];
            for (int fused = 0; fused < 2; ++fused) {
              Tensor x = drawn.inputs[0].value.to(dtype).to(cpu_device).clone();
              set_requires_grad(x);
              const std::vector<Tensor> in =
                  inputs({b, filter, residual, relu, false, max_pool}, cpu_device, dtype);
              const ops::ConvTail tail{
                  size != 0 ? in[1] : Tensor(), in[2], in[3], in[4], {.relu = relu}, max_pool};
              const Tensor h = ops::affine(x, 2, 0);  // no leaf
              const auto [y, mean, var] = fused == 1 ? ops::conv2d_tail(h, w, conv, tail)
                                                     : ops::conv_tail(ops::conv2d(h, w, conv), tail);
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

// A NaN or an infinity goes the way that it goes through the parts.
TEST(ConvTail, PassesNotANumberOn) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    for (const bool pooled : {false, true}) {
      Setting s{{1, 5, 20, 18}, {3, 3, 18}, !pooled, true, true};
      if (pooled) s.max_pool = Pool2dArgs{{3, 3}, {2, 2}, {1, 1}};
      std::vector<Tensor> a = inputs(s, cpu_device, DType::f32), b = inputs(s, cpu_device, DType::f32);
      for (std::vector<Tensor>* in : {&a, &b}) (*in)[0].mutable_data<float>()[18 * 30 + 5] = bad;
      const Tensor y = fused(s, a).y, before = parts(s, b).y,
                   want = pooled ? ops::max_pool2d(before, *s.max_pool) : before;
      expect_same_bits(y, want, "y");
      backward(y, ones(y.shape()));
      backward(want, ones(y.shape()));
      for (std::size_t i = 0; i < 5; ++i)
        if (pooled && (i == 2 || i == 3))
          expect_close(grad(a[i]), grad(b[i]), DType::f32, "gradient");
        else
          expect_same_bits(grad(a[i]), grad(b[i]), "gradient");
    }
  }
}

TEST(ConvTail, RunsItsPartsWhereNothingFusesThem) {
  EXPECT_TRUE(ops::conv_tail_is_fused(cpu_device, DType::f32));
  EXPECT_TRUE(ops::conv_tail_is_fused(cpu_device, DType::bf16));
  EXPECT_TRUE(ops::conv_tail_is_fused(ref_device, DType::f64));
  ASSERT_FALSE(ops::conv_tail_is_fused(cpu_device, DType::f64));
  for (const bool eval : {false, true})
    expect_equal({{2, 5, 4, 3}, {3, 3, 3}, true, true, eval}, cpu_device, DType::f64);
}

TEST(ConvTail, KeepsNothingBetween) {
  const Setting s{{2, 9, 8, 16}, {3, 3, 16}, false, true, false};
  std::vector<Tensor> in = inputs(s, cpu_device, DType::f32);
  const Tensor y = fused(s, in).y;
  in[0].mutable_data<float>()[0] = 1;
  try {
    backward(y, ones(s.x));
    FAIL() << "a changed input was not noticed";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("conv_tail: input"), std::string::npos) << e.what();
  }
}

TEST(ConvTail, RefusesWhatDoesNotFit) {
  const Tensor x = zeros({2, 4, 4, 3}), row = ones({3});
  const auto refuses = [&](const ops::ConvTail& t, const char* why, const Tensor& input) {
    try {
      ops::conv_tail(input, t);
      ADD_FAILURE() << "no error: " << why;
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find(why), std::string::npos) << e.what();
    }
  };
  refuses({{}, ones({4}), ones({4}), {}, {}}, "channels do not match the gamma", x);
  refuses({{}, row, ones({4}), {}, {}}, "beta has another shape", x);
  refuses({zeros({3, 3, 4}), row, row, {}, {}}, "channels do not match the filter", x);
  refuses({zeros({3, 2, 3}), row, row, {}, {}}, "even size", x);
  refuses({zeros({2, 3, 3, 3}), row, row, {}, {}}, "other task groups", x);
  refuses({{}, ones({4, 3}), ones({4, 3}), {}, {}}, "4 task groups", x);
  refuses({{}, row, row, zeros({2, 4, 3, 3}), {}}, "residual has another shape", x);
  refuses({{}, row, row, {}, {}}, "rank 4", zeros({2, 3}));
  refuses({{}, row, row, x, {}, Pool2dArgs{}}, "max pool behind a residual", x);
  refuses({{}, row, row, {}, {}, Pool2dArgs{{9, 9}}}, "smaller than the 9x9 window", x);
  refuses({{}, row, row, {}, {}}, "one value per channel", zeros({1, 1, 1, 3}));
}

}  // namespace
}  // namespace reprise
