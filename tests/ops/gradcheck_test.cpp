// Gradient checks by differences: wrong backwards that they must find, kinks, and the error that is allowed.
#include "engine/autograd/gradcheck.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "engine/autograd/record.h"
#include "engine/base/error.h"
#include "engine/ops/ops.h"
#include "tests/engine/expect_error.h"
#include "tests/ops/runner.h"

namespace reprise {
namespace {

// Computes the square, with a backward that forgets the factor 2.
Tensor wrong_square(const Tensor& x) {
  const Tensor y = ops::mul(x.detach(), x.detach());
  record("wrong_square", {x}, y, [saved = Saved(x, "x")](const Tensor& dy, const Needs&) {
    return std::vector{ops::mul(dy, saved)};
  });
  return y;
}

// A backward with one wrong element among many.
Tensor almost_right(const Tensor& x) {
  const Tensor y = ops::affine(x.detach(), 3);
  record("almost_right", {x}, y, [](const Tensor& dy, const Needs&) {
    Tensor dx = ops::affine(dy, 3);
    dx.mutable_data<double>()[7] *= 1 + 1e-5;
    return std::vector{dx};
  });
  return y;
}

TEST(PlantedFaults, DifferencesFindAWrongBackward) {
  testing::Case c("planted");
  const Tensor x = c.normal("x", {3, 5}).value;
  set_requires_grad(x);
  const auto right = [](const std::vector<Tensor>& in) { return ops::mul(in[0], in[0]); };
  EXPECT_TRUE(check_gradients(right, {x}).passed);

  const GradCheckResult wrong =
      check_gradients([](const std::vector<Tensor>& in) { return wrong_square(in[0]); }, {x});
  EXPECT_FALSE(wrong.passed);
  EXPECT_GT(wrong.worst, 1e5);
  EXPECT_NE(wrong.report.find("WRONG input 0 [3, 5]: worst at element"), std::string::npos) << wrong.report;

  const GradCheckResult almost =
      check_gradients([](const std::vector<Tensor>& in) { return almost_right(in[0]); }, {x});
  EXPECT_FALSE(almost.passed);
  EXPECT_NE(almost.report.find("worst at element 7"), std::string::npos) << almost.report;
}

// Checks a function of one number whose backward says `slope`.
GradCheckResult check_slope(double (*f)(double), double where, double slope) {
  const Tensor x = full({1}, where, DType::f64, ref_device);
  set_requires_grad(x);
  const auto with_slope = [&](const std::vector<Tensor>& in) {
    const Tensor y = full({1}, f(in[0].data<double>()[0]), DType::f64, ref_device);
    record("with_slope", {in[0]}, y, [&](const Tensor& dy, const Needs&) {
      return std::vector{ops::mul(dy, full({1}, slope, DType::f64, ref_device))};
    });
    return y;
  };
  return check_gradients(with_slope, {x}, {.names = {"conv1.weight"}});
}

TEST(PlantedFaults, DifferencesTellAKinkFromAnError) {
  const auto relu = [](double x) { return std::max(x, 0.0); };
  for (const double slope : {0., 1.}) {  // both are slopes at the kink
    EXPECT_TRUE(check_slope(relu, 0, slope).passed);
    EXPECT_EQ(check_slope(relu, 0, slope).kinks, 1);
  }
  EXPECT_EQ(check_slope(relu, 2e-6, 1).kinks, 1);  // the step of 1e-5 crosses it, a tenth of it does not
  EXPECT_EQ(check_slope(relu, 2e-4, 1).kinks, 0);
  EXPECT_FALSE(check_slope(relu, 0, 0.3).passed);
  for (const double where : {-2e-4, -2e-6}) {
    const GradCheckResult wrong = check_slope(relu, where, 0.1);
    EXPECT_FALSE(wrong.passed);
    EXPECT_EQ(wrong.report.find("WRONG conv1.weight [1]: worst at element 0: backward says "), 0u)
        << wrong.report;
  }
  // The slopes on the two sides may cancel.
  const auto magnitude = [](double x) { return std::abs(x); };
  EXPECT_EQ(check_slope(magnitude, 0, 0).kinks, 0);
  EXPECT_EQ(check_slope(magnitude, 0, -1).kinks, 1);
  EXPECT_FALSE(check_slope(magnitude, 0, 0.5).passed);
}

// Above 5e-6 the function is `rise`, else 0: the differences' first step of 1e-5 crosses that place, the
// second of 1e-6 does not. Its backward says `slope`.
TEST(PlantedFaults, AnErrorAsLargeAsIsAllowedPasses) {
  const double allowed = GradCheckOptions{}.tolerance * 0.01;
  const auto check = [](double rise, double slope) {
    const Tensor x = zeros({1}, DType::f64, ref_device);
    set_requires_grad(x);
    const auto f = [&](const std::vector<Tensor>& in) {
      const Tensor y = full({1}, in[0].item() > 5e-6 ? rise : 0, DType::f64, ref_device);
      record("step", {in[0]}, y, [&](const Tensor&, const Needs&) {
        return std::vector{full({1}, slope, DType::f64, ref_device)};
      });
      return y;
    };
    return check_gradients(f, {x});
  };
  for (const bool steps : {false, true}) {
    SCOPED_TRACE(steps);
    const GradCheckResult at = check(steps ? 1e-9 : 0, allowed), beyond = check(0, 1.001 * allowed);
    EXPECT_TRUE(at.passed);
    EXPECT_EQ(at.worst, 1);
    EXPECT_EQ(at.kinks, steps ? 1 : 0);
    EXPECT_EQ(at.report.find("input 0 [1]: worst"), 0u) << at.report;
    EXPECT_FALSE(beyond.passed);
    EXPECT_EQ(beyond.report.find("WRONG "), 0u) << beyond.report;
  }
  // Where none agrees, the report gives the slope over the whole step.
  const GradCheckResult endless = check(1e-9, HUGE_VAL);
  EXPECT_FALSE(endless.passed);
  EXPECT_EQ(endless.report.find("differences say 0;"), std::string::npos) << endless.report;
  EXPECT_NE(endless.report.find("e-07; error inf"), std::string::npos) << endless.report;
}

// The slopes of x * x over a tenth of the step to each side of 0 are 1e-6 and -1e-6: no slope at 0 for all that.
TEST(PlantedFaults, CurvatureIsNotAKink) {
  const auto square = [](double x) { return x * x; };
  EXPECT_TRUE(check_slope(square, 0, 0).passed);
  for (const double slope : {1e-6, -1e-6}) EXPECT_FALSE(check_slope(square, 0, slope).passed);
}

// Beside 1e8 a difference of 1e-5 is rounded by up to 1e-3 of itself: the backward is not to blame.
TEST(GradCheck, AllowsForTheRoundingOfLargeOutputs) {
  const auto large = [](double x) { return 1e8 + x / 3; };
  EXPECT_TRUE(check_slope(large, 1, 1 / 3.).passed);
  EXPECT_FALSE(check_slope(large, 1, 2).passed);
}

TEST(GradCheck, RefusesWhatItCannotCheck) {
  const auto twice = [](const std::vector<Tensor>& in) { return ops::add(in[0], in[0]); };
  const Tensor constant = ones({1}, DType::f64, ref_device), single = ones({1}, DType::f32, ref_device),
               cpu = ones({1}, DType::f64, cpu_device), unused = ones({1}, DType::f64, ref_device);
  for (const Tensor& t : {single, cpu, unused}) set_requires_grad(t);
  testing::expect_error([&] { check_gradients(twice, {constant}); }, "no input is marked");
  testing::expect_error([&] { check_gradients(twice, {single}); }, "expected inputs in f64 on ref", "f32");
  testing::expect_error([&] { check_gradients(twice, {cpu}); }, "expected inputs in f64 on ref", "cpu");
  set_requires_grad(constant);
  testing::expect_error([&] { check_gradients(twice, {constant, unused}); }, "left no gradient in input 1");
}

TEST(PlantedFaults, DifferencesFindNaN) {
  const Tensor x = zeros({1}, DType::f64, ref_device);
  set_requires_grad(x);
  EXPECT_FALSE(check_gradients([](const std::vector<Tensor>& in) { return ops::sqrt(in[0]); }, {x}).passed);
}

TEST(PlantedFaults, DifferencesRefuseWhatTheyCannotCheck) {
  const auto f = [](const std::vector<Tensor>& in) { return ops::relu(in[0]); };
  const Tensor single = ones({2}, DType::f32, ref_device);
  EXPECT_THROW(check_gradients(f, {ones({2}, DType::f64, ref_device)}), Error);
  set_requires_grad(single);
  EXPECT_THROW(check_gradients(f, {single}), Error);
}

}  // namespace
}  // namespace reprise
