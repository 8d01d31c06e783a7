// Optimizers and schedules, compared with PyTorch's (tests/golden/optim/generate.py),
// and their states.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <memory>

#include "data/weights/weight_file.h"
#include "engine/autograd/autograd.h"
#include "engine/base/error.h"
#include "engine/ops/arithmetic.h"
#include "engine/ops/reduce.h"
#include "optim/clipping.h"
#include "optim/optimizer.h"
#include "optim/penalties.h"
#include "optim/schedules.h"
#include "tests/engine/expect_error.h"

namespace reprise::optim {
namespace {

// Gradients (3,0) and (4): norm 5.
TEST(ClipGradients, ScalesAllByOneFactor) {
  for (const double most : {1.0, 10.0}) {
    const Tensor a = ones({2}), b = ones({1}), unused = ones({1});
    for (const Tensor& t : {a, b, unused}) set_requires_grad(t);
    backward(ops::sum(ops::mul(a, tensor({2}, {3, 0}))) + ops::sum(4.0 * b));
    EXPECT_NEAR(clip_gradients({a, b, unused}, most), 5, 1e-6);
    const float factor = most < 5 ? 0.2F : 1;
    EXPECT_NEAR(grad(a).data<float>()[0], 3 * factor, 1e-6);
    EXPECT_EQ(grad(a).data<float>()[1], 0);
    EXPECT_NEAR(grad(b).data<float>()[0], 4 * factor, 1e-6);
    EXPECT_FALSE(grad(unused).defined());
  }
}

TEST(ClipGradients, RefusesWhatHasNoNorm) {
  const Tensor a = ones({1});
  set_requires_grad(a);
  EXPECT_EQ(clip_gradients({a}, 1), 0);
  testing::expect_error([&] { clip_gradients({a}, 0); }, "the largest norm must be above 0, got 0");
  backward(ops::sum(std::numeric_limits<double>::infinity() * a));
  EXPECT_THROW(clip_gradients({a}, 1), Error);
}

// As PyTorch does, the norm is taken 1e-6 larger: of 4e-6, a limit of 1e-6 leaves a fifth.
TEST(ClipGradients, OfTinyNorms) {
  const Tensor a = ones({1});
  set_requires_grad(a);
  backward(ops::sum(4e-6 * a));
  EXPECT_NEAR(clip_gradients({a}, 1e-6), 4e-6, 1e-12);
  EXPECT_NEAR(grad(a).data<float>()[0], 8e-7, 1e-12);
}

const data::WeightFile& golden() {
  static const data::WeightFile file =
      data::read_weights(std::string(REPRISE_SOURCE_DIR) + "/tests/golden/optim/optim.safetensors");
  return file;
}

// Computes the values of generate.py: `count` numbers in [-0.5, 0.5) from a name.
Tensor named_values(const std::string& name, const Shape& shape, DType dtype, Device device) {
  std::uint64_t hash = 0xCBF29CE484222325;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3;
  std::vector<double> values(static_cast<std::size_t>(shape.numel()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::uint64_t z = hash + i + 0x9E3779B97F4A7C15;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    values[i] = static_cast<double>((z ^ (z >> 31)) >> 40) / 0x1p24 - 0.5;
  }
  return tensor(shape, std::span<const double>(values)).to(dtype).to(device);
}

using Make = std::unique_ptr<Optimizer> (*)(std::vector<Tensor>);
struct Case {
  const char* name;
  Make make;
};
const Case all_cases[] = {
    {"sgd",
     [](std::vector<Tensor> p) -> std::unique_ptr<Optimizer> { return std::make_unique<Sgd>(std::move(p)); }},
    {"sgd_momentum",
     [](std::vector<Tensor> p) -> std::unique_ptr<Optimizer> {
       return std::make_unique<Sgd>(
           std::move(p), SgdOptions{.lr = 0.01, .momentum = 0.9, .dampening = 0.3, .weight_decay = 0.02});
     }},
    {"sgd_nesterov",
     [](std::vector<Tensor> p) -> std::unique_ptr<Optimizer> {
       return std::make_unique<Sgd>(std::move(p), SgdOptions{.lr = 0.01, .momentum = 0.8, .nesterov = true});
     }},
    {"adam",
     [](std::vector<Tensor> p) -> std::unique_ptr<Optimizer> {
       return std::make_unique<Adam>(std::move(p));
     }},
    {"adam_decay",
     [](std::vector<Tensor> p) -> std::unique_ptr<Optimizer> {
       return std::make_unique<Adam>(
           std::move(p),
           AdamOptions{.lr = 3e-3, .beta1 = 0.8, .beta2 = 0.99, .eps = 1e-6, .weight_decay = 0.05});
     }},
    {"adamw",
     [](std::vector<Tensor> p) -> std::unique_ptr<Optimizer> {
       return std::make_unique<AdamW>(std::move(p), AdamOptions{.lr = 3e-3, .weight_decay = 0.05});
     }},
};
void PrintTo(const Case& c, std::ostream* out) {
  *out << c.name;
}

// Trains two parameters. The first has no gradient in steps 40 to 44.
struct Descent {
  Descent(Make make, DType dtype, Device device) {
    p = {named_values("p0", {3, 4}, dtype, device), named_values("p1", {5}, dtype, device)};
    for (const Tensor& t : p) set_requires_grad(t);
    optimizer = make(p);
  }
  void step(int number) {
    optimizer->zero_grad();
    for (std::size_t i = number >= 40 && number < 45 ? 1 : 0; i < 2; ++i) {
      const Tensor fresh = named_values("g" + std::to_string(number) + "." + std::to_string(i), p[i].shape(),
                                        p[i].dtype(), p[i].device());
      backward(ops::sum(p[i] * fresh) + 0.05 * ops::sum(p[i] * p[i]));  // gradient: fresh + 0.1 p
    }
    optimizer->step();
  }
  std::vector<double> values() const {
    std::vector<double> all;
    for (const Tensor& t : p) {
      const Tensor wide = t.to(DType::f64);
      all.insert(all.end(), wide.data<double>(), wide.data<double>() + wide.numel());
    }
    return all;
  }
  std::vector<Tensor> p;
  std::unique_ptr<Optimizer> optimizer;
};

class BesidePyTorch : public ::testing::TestWithParam<Case> {
 protected:
  void compare(DType dtype, Device device, double tolerance) {
    const Tensor* expected = golden().find(GetParam().name);
    ASSERT_NE(expected, nullptr);
    Descent run(GetParam().make, dtype, device);
    std::int64_t row = 0;
    for (int step = 0; step < 100; ++step) {
      run.step(step);
      if (step != 0 && step != 49 && step != 99) continue;
      const std::vector<double> actual = run.values();
      ASSERT_EQ(static_cast<std::int64_t>(actual.size()), expected->dim(1));
      for (std::size_t i = 0; i < actual.size(); ++i)
        EXPECT_NEAR(actual[i], expected->rows(row, row + 1).data<double>()[i], tolerance) << "step " << step;
      ++row;
    }
    EXPECT_EQ(row, expected->dim(0));
  }
};

TEST_P(BesidePyTorch, DoubleOnRef) {
  compare(DType::f64, ref_device, 1e-12);
}
TEST_P(BesidePyTorch, SingleOnCpu) {
  const double noise = golden().find(std::string(GetParam().name) + ".noise")->item();
  compare(DType::f32, cpu_device, 5 * noise + 1e-7);
}

// A state restored into a new optimizer gives the same bits as an uninterrupted run.
TEST_P(BesidePyTorch, GoesOnFromItsState) {
  Descent whole(GetParam().make, DType::f32, cpu_device), first(GetParam().make, DType::f32, cpu_device);
  for (int step = 30; step < 60; ++step) whole.step(step);
  for (int step = 30; step < 42; ++step) first.step(step);
  Descent second(GetParam().make, DType::f32, cpu_device);
  for (std::size_t i = 0; i < 2; ++i) copy_into(second.p[i], first.p[i]);
  second.optimizer->load_state(first.optimizer->state());
  first.step(42);  // the state is a copy: this changes nothing
  for (int step = 42; step < 60; ++step) second.step(step);
  EXPECT_EQ(whole.values(), second.values());
}
INSTANTIATE_TEST_SUITE_P(Optimizers, BesidePyTorch, ::testing::ValuesIn(all_cases),
                         [](const auto& given) { return std::string(given.param.name); });

TEST(Optimizer, NothingToTrainIsAnError) {
  testing::expect_error([] { Sgd({}); }, "no parameter to train", "frozen");
  testing::expect_error([] { Sgd({ones({2})}); }, "parameter 0 requires no gradient", "set_requires_grad",
                        "[2]");
  Tensor p = ones({2});
  set_requires_grad(p);
  Sgd sgd({p});
  testing::expect_error([&] { sgd.step(); }, "none of the 1 parameters has a gradient", "call backward");
  Tensor moved = p.to(ref_device);  // as Module::to does
  set_requires_grad(moved);
  backward(ops::sum(moved));
  testing::expect_error([&] { sgd.step(); }, "no longer the network's tensors", "Module::to");
  EXPECT_EQ(sgd.updates(), 0);
}

// A parameter without a gradient stays as it is, and has no step counted.
TEST(Optimizer, StepsArePerParameter) {
  const Tensor a = ones({1}), b = ones({1});
  for (const Tensor& t : {a, b}) set_requires_grad(t);
  Adam adam({a, b});
  for (int step = 0; step < 3; ++step) {
    adam.zero_grad();
    backward(step == 1 ? ops::sum(a + b) : ops::sum(1.0 * a));
    adam.step();
  }
  EXPECT_EQ(adam.updates(), 3);
  EXPECT_LT(a.data<float>()[0], b.data<float>()[0]);
}

TEST(Optimizer, RefusesWhatItCannotUse) {
  EXPECT_THROW(Adam({ones({2})}), Error);  // the parameter requires no gradient
  const Tensor p = ones({2});
  set_requires_grad(p);
  EXPECT_THROW(Sgd({p}, {.nesterov = true}), Error);
  testing::expect_error([&] { Sgd({p}, {.momentum = -0.5}); }, "must not be negative, got -0.5 and 0");
  testing::expect_error([&] { Sgd({p}, {.weight_decay = -0.5}); }, "must not be negative, got 0 and -0.5");
  EXPECT_THROW(Adam({p}, {.lr = -1}), Error);
  EXPECT_THROW(Adam({p}, {.lr = std::nan("")}), Error);
  EXPECT_THROW(Adam({p}, {.beta1 = 1}), Error);
  Adam adam({p});
  auto state = adam.state();
  EXPECT_EQ(state.size(), 3U);
  state["0.v"] = ones({2});
  for (const Tensor& other : {ones({3}), ones({2}, DType::f64)}) {
    state["0.m"] = other;
    testing::expect_error([&] { adam.load_state(state); }, "does not fit", "tensor  0.m", describe(other));
  }
  EXPECT_EQ(adam.state()["0.v"].data<float>()[0], 0) << "a state that does not fit changes nothing";
  state.erase("0.m");
  EXPECT_THROW(adam.load_state(state), Error);
  state["0.m"] = ones({2});
  state["1.m"] = ones({2});
  EXPECT_THROW(adam.load_state(state), Error);
}

// Adam's first step is lr * g / (|g| + eps), whatever the betas are.
TEST(Optimizer, TakesTheLimitsOfItsOptions) {
  const std::pair<AdamOptions, float> accepted[] = {
      {{.lr = 0}, 1}, {{.lr = 0.25, .beta1 = 0, .beta2 = 0}, 0.75}, {{.lr = 0.25, .eps = 0}, 0.75}};
  for (const auto& [options, expected] : accepted) {
    const Tensor p = ones({1});
    set_requires_grad(p);
    Adam adam({p}, options);
    backward(ops::sum(4.0 * p));
    adam.step();
    EXPECT_NEAR(p.data<float>()[0], expected, 1e-6) << options.lr << " " << options.eps;
  }
  const Tensor p = ones({1});
  set_requires_grad(p);
  const std::pair<AdamOptions, const char*> refused[] = {
      {{.lr = -1e-9}, "the learning rate must be 0 or more, got -1e-09"},
      {{.lr = std::numeric_limits<double>::infinity()}, "the learning rate must be 0 or more, got inf"},
      {{.beta1 = -0.1}, "the betas must be in [0,1), got -0.1 and 0.999"},
      {{.beta1 = 1}, "the betas must be in [0,1), got 1 and 0.999"},
      {{.beta2 = -0.1}, "the betas must be in [0,1), got 0.9 and -0.1"},
      {{.beta2 = 1}, "the betas must be in [0,1), got 0.9 and 1"},
      {{.eps = -1}, "must not be negative, got -1 and 0"},
      {{.weight_decay = -1}, "must not be negative, got 1e-08 and -1"}};
  for (const auto& given : refused) testing::expect_error([&] { Adam({p}, given.first); }, given.second);
}

// The gradient of 10 * |a| at (3,4) is (6,8).
TEST(Optimizer, PenalisesOnlyTheParametersThatItWasGiven) {
  const Tensor a = tensor({2}, {3, 4}), b = tensor({2}, {1, 2});
  for (const Tensor& t : {a, b}) set_requires_grad(t);
  Sgd sgd({b, a}, {.lr = 1});
  EXPECT_FALSE(sgd.norms().defined());
  testing::expect_error([&] { sgd.penalise({ones({7})}, NormKind::l2, 1); },
                        "a penalised tensor is not one of its parameters", "[7]");
  sgd.penalise({a}, NormKind::l2, 10);
  EXPECT_FLOAT_EQ(static_cast<float>(sgd.norms().item()), 5);
  backward(ops::sum(0.0 * a) + ops::sum(0.0 * b));
  sgd.step();
  EXPECT_FLOAT_EQ(a.data<float>()[0], -3);
  EXPECT_FLOAT_EQ(a.data<float>()[1], -4);
  EXPECT_EQ(b.data<float>()[0], 1);
  EXPECT_EQ(b.data<float>()[1], 2);
}

// The gradient of |p| at (3,4) is (0.6,0.8), and after a step of 1 at (2.4,3.2) as well.
TEST(Optimizer, EachStepPenalisesByTheNormsOfItsTime) {
  for (const bool whole : {true, false}) {
    const Tensor p = tensor({2}, {3, 4});
    set_requires_grad(p);
    Sgd sgd({p}, {.lr = 1});
    sgd.penalise({p}, NormKind::l2, 1);
    for (const float left : {0.8F, 0.6F}) {  // of the first norm
      sgd.zero_grad();
      backward(ops::sum(0.0 * p));
      if (whole)
        sgd.step();
      else
        sgd.begin_step(), sgd.finish_step();
      EXPECT_NEAR(p.data<float>()[0], 3 * left, 1e-6) << whole;
      EXPECT_NEAR(p.data<float>()[1], 4 * left, 1e-6) << whole;
    }
  }
}

TEST(Optimizer, AStepInTwoHalvesIsTheWholeStep) {
  const auto trained = [](bool whole) {
    const Tensor p = tensor({2}, {3, 4});
    set_requires_grad(p);
    Adam adam({p}, {.lr = 0.1});
    for (int step = 0; step < 3; ++step) {
      adam.zero_grad();
      backward(ops::sum(ops::mul(p, tensor({2}, {3.0F - static_cast<float>(step), -2}))));
      if (whole) {
        adam.step();
      } else {
        adam.begin_step(), adam.finish_step();
      }
    }
    return std::vector<float>{p.data<float>()[0], p.data<float>()[1]};
  };
  EXPECT_EQ(trained(true), trained(false));
}

TEST(Optimizer, TheHalvesOfAStepNeedEveryParameter) {
  const Tensor a = ones({1}), b = ones({3});
  for (const Tensor& t : {a, b}) set_requires_grad(t);
  Sgd sgd({a, b}), other({a, b});
  backward(ops::sum(2.0 * a));
  sgd.begin_step();
  testing::expect_error([&] { sgd.finish_step(); }, "parameter 1 has no gradient", "[3]");
  other.step();  // of `a` only
  testing::expect_error([&] { other.begin_step(); }, "parameters were updated 2 and 1 times");
}

TEST(Schedules, EqualPyTorchs) {
  const double* step = golden().find("step_lr")->data<double>();
  const double* cosine = golden().find("cosine_lr")->data<double>();
  for (int epoch = 0; epoch < 30; ++epoch) {
    EXPECT_EQ((StepLr{1e-3, 7, 0.1}.at(epoch)), step[epoch]);
    EXPECT_NEAR((CosineLr{1e-3, 30, 1e-5}.at(epoch)), cosine[epoch], 1e-15);
  }
  EXPECT_EQ((CosineLr{1e-3, 30, 1e-5}.at(30)), 1e-5);
  EXPECT_THROW((StepLr{1e-3, 0, 0.1}.at(1)), Error);
  EXPECT_EQ((CosineLr{1e-3, 1, 1e-5}.at(0)), 1e-3);
  testing::expect_error([] { CosineLr{1e-3, 0, 1e-5}.at(0); }, "epoch at least 0, got 0 and 0");
  testing::expect_error([] { CosineLr{1e-3, 1, 1e-5}.at(-1); }, "epoch at least 0, got 1 and -1");
}

TEST(Penalty, SumsTheNormsAndSkipsZero) {
  const Tensor a = tensor({2, 2}, {3, 0, 0, -4}), b = zeros({3});
  set_requires_grad(a);
  set_requires_grad(b);
  const Tensor l2 = penalty({a, b}, NormKind::l2);
  EXPECT_FLOAT_EQ(static_cast<float>(l2.item()), 5.0F);
  backward(l2);
  EXPECT_FLOAT_EQ(grad(a).data<float>()[0], 0.6F);
  EXPECT_FLOAT_EQ(grad(a).data<float>()[3], -0.8F);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(grad(b).data<float>()[i], 0.0F);
  EXPECT_FLOAT_EQ(static_cast<float>(penalty({a, b}, NormKind::l1).item()), 7.0F);
  EXPECT_FLOAT_EQ(static_cast<float>(penalty({a, b}, NormKind::l12).item()), 7.0F);  // rows (3,0) and (0,-4)
  testing::expect_error([] { penalty({}, NormKind::l2); }, "at least one tensor is needed, got none");
}

}  // namespace
}  // namespace reprise::optim
