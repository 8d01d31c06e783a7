// The parts of `clr audit`, called as functions, with planted faults that they must find.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "apps/clr/audit/cost.h"
#include "apps/clr/audit/kernel_errors.h"
#include "apps/clr/audit/parts.h"
#include "apps/clr/audit/statistics.h"
#include "apps/clr/audit/trace.h"
#include "apps/clr/learn/anomaly.h"
#include "apps/clr/learn/table.h"
#include "engine/autograd/autograd.h"
#include "engine/autograd/record.h"
#include "engine/base/check.h"
#include "engine/base/error.h"
#include "engine/ops/ops.h"
#include "layers/network.h"
#include "tests/apps/support.h"

namespace reprise::test {
namespace {

using namespace reprise::clr;

Tensor ramp(std::int64_t n) {
  Tensor t = empty({2, n / 2});
  for (std::int64_t i = 0; i < n; ++i) t.mutable_data<float>()[i] = static_cast<float>(i) - 3;
  return t;
}

// Runs steps of two kernels, the second in a layer. `fault` may change x before a step.
struct Steps {
  Tensor x = ramp(8);
  int step = 0;
  std::function<void(int step, Tensor& x)> fault = [](int, Tensor&) {};
  void operator()() {
    fault(++step, x);
    const Tensor y = ops::affine(x, 2);
    const ErrorScope scope("layer", "layer1.relu");
    ops::relu(y);
  }
};

std::vector<TracedResult> compare(Steps& first, Steps& second, const NamesByAddress& names = {}) {
  return compare_runs({{"first", std::ref(first)}, {"second", std::ref(second)}}, 3, names);
}

TEST(Trace, EqualRunsAreEqual) {
  Steps a, b;
  const auto results = compare(a, b);
  ASSERT_EQ(results.size(), 2u);
  EXPECT_FALSE(results[1].finding);
  EXPECT_EQ(results[1].steps, 3);
  EXPECT_EQ(results[1].kernels, 6);
  EXPECT_EQ(results[1].values, 48);
}

TEST(Trace, OneFlippedBitIsFoundWhereItFirstShows) {
  Steps a, b;
  b.fault = [](int step, Tensor& x) {
    if (step == 2) x.mutable_data<float>()[5] = std::nextafter(x.data<float>()[5], 9.F);
  };
  const auto results = compare(a, b);
  ASSERT_TRUE(results[1].finding);
  EXPECT_EQ(results[1].finding->step, 2);
  EXPECT_EQ(results[1].finding->kernel, "affine");
  EXPECT_EQ(results[1].finding->difference->element, 5);
  EXPECT_EQ(results[1].finding->difference->count, 1);
  EXPECT_SAYS(results[1].finding->text(), "step 2, kernel 1 of that step: affine, output 0 [2, 4]: ");
  EXPECT_NE(results[1].finding->text().find("element [1, 1] was 4 and is 4.000000"), std::string::npos)
      << results[1].finding->text();
}

TEST(Differences, BitsCountNotValues) {
  const Tensor zero = tensor({2}, {1, 0.F}), minus = tensor({2}, {1, -0.F});
  EXPECT_FALSE(first_difference(zero.view(), zero.clone().view()));
  const auto found = first_difference(zero.view(), minus.view());
  ASSERT_TRUE(found);
  EXPECT_EQ(found->text({2}), "element [1] was 0 and is -0; 1 of 2 elements differ");
  for (const Tensor& other : {tensor({1}, {1}), zero.to(DType::f64)})
    EXPECT_THROW(first_difference(zero.view(), other.view()), InternalError);
}

TEST(Trace, OtherKernelsAreFound) {
  Steps a, b;
  int calls = 0;
  const auto more = [&] {
    b();
    if (++calls == 2) ops::relu(b.x);
  };
  const auto longer = compare_runs({{"first", std::ref(a)}, {"second", more}}, 3);
  ASSERT_TRUE(longer[1].finding);
  EXPECT_EQ(longer[1].finding->call, 3);
  EXPECT_FALSE(longer[1].finding->difference);
  calls = 0;
  const auto shorter = compare_runs({{"first", more}, {"second", std::ref(a)}}, 3);
  ASSERT_TRUE(shorter[1].finding);
  EXPECT_EQ(shorter[1].finding->step, 2);
  EXPECT_EQ(shorter[1].finding->text(), longer[1].finding->text()) << "the call that only one of them has";
  EXPECT_SAYS(shorter[1].finding->text(), "step 2, kernel 3 of that step: ");
  EXPECT_SAYS(shorter[1].finding->text(), ": the first run called another kernel there, or on other shapes");
  for (const Tensor& x : {ramp(10), ramp(8).to(DType::bf16)}) {
    Steps first, other;
    other.fault = [&](int step, Tensor& input) {
      if (step == 2) input = x;
    };
    const auto results = compare(first, other);
    ASSERT_TRUE(results[1].finding);
    EXPECT_EQ(results[1].finding->call, 1);
    EXPECT_EQ(results[1].finding->shape, x.shape());
    EXPECT_FALSE(results[1].finding->difference);
  }
}

TEST(Trace, ATensorIsNamed) {
  Tensor mean = zeros({2}), other = zeros({2});
  const auto step = [](Tensor& running, float by) {
    return [&running, by] {
      Tensor var = ones({2});
      const Tensor batch = full({2}, static_cast<double>(by));
      ops::update_running_stats({{}, batch, ones({2})}, 4, running, var);
    };
  };
  const auto results = compare_runs({{"first", step(mean, 1)}, {"second", step(other, 2)}}, 1,
                                    {{other.view().ptr, "bn1.running_mean"}});
  ASSERT_TRUE(results[1].finding);
  EXPECT_EQ(results[1].finding->tensor, "bn1.running_mean");
  EXPECT_SAYS(results[1].finding->text(), ", tensor bn1.running_mean [2]: element [0] was ");
}

TEST(KernelErrors, AWrongValueUsesUpTheAllowance) {
  float got[] = {1, 2, 4.001F};
  double want[] = {1, 2, 4};
  const KernelCall::Operand operands[] = {{View{got, Shape{3}, DType::f32}, true}};
  const View reference[] = {View{want, Shape{3}, DType::f64}};
  ErrorProbe probe;
  const KernelCall call{"made_up", ref_device, DType::f32, operands, reference};
  probe.after(call);
  const KernelErrors& e = probe.kernels.begin()->second;
  EXPECT_NEAR(e.relative, 0.001 / 4, 1e-7);
  EXPECT_NEAR(e.share, 2.5, 1e-2);
  EXPECT_NEAR(e.largest_ulps, 0.001 / (4 * 0x1p-23), 1);
  got[0] = std::numeric_limits<float>::quiet_NaN();
  probe.after(call);
  EXPECT_TRUE(std::isinf(probe.kernels.begin()->second.share));
  // Of a reference of zeros any error is infinitely large, and zeros are exact.
  for (double& w : want) w = 0;
  ErrorProbe zeros;
  const KernelCall nothing{"nothing", ref_device, DType::f32, operands, reference};
  for (float& g : got) g = 0;
  zeros.after(nothing);
  EXPECT_EQ(zeros.kernels.begin()->second.name, "nothing");
  EXPECT_EQ(zeros.kernels.begin()->second.ran_on, "ref f32");
  EXPECT_EQ(zeros.kernels.begin()->second.relative, 0);
  EXPECT_EQ(zeros.kernels.begin()->second.share, 0);
  got[1] = 1e-20F;
  zeros.after(nothing);
  EXPECT_TRUE(std::isinf(zeros.kernels.begin()->second.relative));
  EXPECT_GT(zeros.kernels.begin()->second.share, 1);
}

// Doubles x, and says in backward that it multiplies by `slope`.
template <int slope>
void planted(cases::Case& c, const cases::Params& p) {
  c.normal("x", p.shape("x"));
  c.calls([](const cases::Inputs& in) {
    const Tensor y = ops::add(in[0].detach(), in[0].detach());
    record("planted", {in[0]}, y, [](const Tensor& dy, const Needs&) {
      return std::vector{ops::mul(dy, full(dy.shape(), slope, DType::f64, ref_device))};
    });
    return y;
  });
}

TEST(Gradients, ARowFailsByOneOfItsCases) {
  const GradientRow right = check_op({"planted", {"x=2x3", "x=40"}, planted<2>});
  EXPECT_TRUE(right.result.passed);
  EXPECT_LE(right.result.worst, 1);
  EXPECT_EQ(right.name, "planted");
  EXPECT_EQ(right.tensors, 2);
  EXPECT_EQ(right.elements, 6 + 16) << "of each tensor 16 at most";
  EXPECT_EQ(right.result.report.find("WRONG"), std::string::npos);
  const cases::OpCases::Build half = [](cases::Case& c, const cases::Params& p) {
    p.shape("x").rank() == 1 ? planted<3>(c, p) : planted<2>(c, p);
  };
  for (const auto& list : {std::vector<std::string>{"x=2x3", "x=40"}, {"x=40", "x=2x3"}}) {
    const GradientRow wrong = check_op({"planted", list, half});
    EXPECT_FALSE(wrong.result.passed);
    EXPECT_GT(wrong.result.worst, 1);
    EXPECT_SAYS(wrong.result.report, "WRONG input 0 [40]");
    EXPECT_EQ(wrong.result.report.find("[2, 3]"), std::string::npos);
    testing::internal::CaptureStdout();
    print_gradients({right, wrong}, {});
    const std::string said = testing::internal::GetCapturedStdout();
    EXPECT_SAYS(said, "as differences say");
    EXPECT_SAYS(said, " WRONG\nplanted:\nplanted x=40\nWRONG input 0 [40]: worst at element ");
    EXPECT_EQ(std::ranges::count(said, '\n'), 6) << said;
  }
}

// At its kink, a ReLU's gradient is that of one side.
TEST(Gradients, ARowCountsTheKinksOfItsCases) {
  const GradientRow row = check_op({"kinks", {"x=3", "x=2x2"}, [](cases::Case& c, const cases::Params& p) {
                                      c.values("x", zeros(p.shape("x"), DType::f64, ref_device));
                                      c.calls([](const cases::Inputs& in) { return ops::relu(in[0]); });
                                    }});
  EXPECT_TRUE(row.result.passed) << row.result.report;
  EXPECT_EQ(row.result.kinks, 7);
}

// A square root's gradient at 0 is infinite. It arises in backward, where the layer is still known.
TEST(Anomaly, BackwardNamesTheLayerToo) {
  const auto network = layers::make_network("resnet20", 2);
  Tensor x = tensor({2, 2}, {1, 4, 0, 9});
  set_requires_grad(x);
  Tensor y;
  const AnomalyWatch watch(*network);
  {
    const ErrorScope scope("layer", "layer1.root");
    y = ops::sqrt(x);
  }
  try {
    backward(ops::sum(y));
    FAIL() << "no anomaly";
  } catch (const Error& e) {
    const std::string text = e.what();
    for (const char* word :
         {"unary_bwd", "element [1, 0] of [2, 2]", "infinity (1 of 4)", "layer   layer1.root", "0 to 3"})
      EXPECT_NE(text.find(word), std::string::npos) << word << "\n" << text;
  }
}

TEST(Anomaly, TensorsOfTheNetworkAreNamedAndNothingIsWatchedAfterwards) {
  const auto network = layers::make_network("resnet20", 2);
  const Tensor bad = tensor({1}, {-1});
  {
    const AnomalyWatch watch(*network);
    Tensor& bias = network->head().bias;
    copy_into(bias, tensor({2}, {1, std::numeric_limits<float>::infinity()}));
    try {
      ops::affine(bias, 2);
      FAIL() << "no anomaly";
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find("input   [2] f32 linear.bias, 1 to 1, 1 of 2 not finite"),
                std::string::npos)
          << e.what();
    }
  }
  EXPECT_TRUE(std::isnan(ops::log(bad).item()));
}

// Only what a kernel wrote is looked at, and an operand's line names only what there is of it.
TEST(Anomaly, ReportsTheOperandsValuesAndNoOthers) {
  const auto network = layers::make_network("resnet20", 2);
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  const AnomalyWatch watch(*network);
  Tensor rows = tensor({2, 1}, {1, nan}), first = rows.rows(0, 1);
  EXPECT_EQ(error_of([&] { copy_into(first, tensor({1, 1}, {2})); }), "");
  const std::string said = error_of([&] { ops::add(tensor({2}, {1, 2}), tensor({2}, {nan, nan})); });
  EXPECT_SAYS(said, "\n  input   [2] f32, 1 to 2\n");
  EXPECT_SAYS(said, "\n  input   [2] f32, 2 of 2 not finite\n");
}

TEST(Anomaly, OnlyWithRangesAreValuesCounted) {
  const auto network = layers::make_network("resnet20", 2);
  const Tensor x = tensor({3}, {1, -2, 4});
  const auto said = [&](const AnomalyWatch& watch) {
    ops::affine(x, 2);
    const AnomalyWatch::Read& read = watch.read().begin()->second;
    return std::vector<double>{static_cast<double>(watch.read().size()), static_cast<double>(read.calls),
                               static_cast<double>(read.values), read.min, read.max};
  };
  EXPECT_EQ(said(AnomalyWatch(*network)), (std::vector<double>{1, 1, 0, 0, 0}));
  EXPECT_EQ(said(AnomalyWatch(*network, true)), (std::vector<double>{1, 1, 3, -4, 8}));
  // The range is of all calls, wherever the ends are.
  for (const bool reversed : {false, true}) {
    const AnomalyWatch watch(*network, true);
    for (const bool inner : {reversed, !reversed}) ops::affine(inner ? tensor({1}, {1}) : x, 2);
    const AnomalyWatch::Read& read = watch.read().begin()->second;
    EXPECT_EQ(read.values, 4);
    EXPECT_EQ(read.min, -4) << reversed;
    EXPECT_EQ(read.max, 8) << reversed;
  }
}

TEST(Table, BytesReadWell) {
  for (const auto& [bytes, text] : {std::pair(std::int64_t{0}, "0 B"),
                                    {1023, "1023 B"},
                                    {1024, "1.0 KiB"},
                                    {1048524, "1023.9 KiB"},
                                    {1048525, "1.0 MiB"},
                                    {std::int64_t{1} << 40, "1.0 TiB"},
                                    {std::int64_t{1} << 50, "1024.0 TiB"}})
    EXPECT_EQ(bytes_text(bytes), text);
}

TEST(Table, TheFirstColumnStandsAtTheLeftUnlessSidesAreGiven) {
  Table table({"name", "count"}), other({"name", "count"}, {false, true});
  for (Table* t : {&table, &other}) t->row({"x", "7"});
  EXPECT_EQ(table.text(), "name  count\nx         7\n");
  EXPECT_EQ(other.text(), "name  count\n   x  7\n");
}

// A ResNet-20's convolutions and its head. All else is less than a percent.
TEST(Cost, CountsTheOperationsOfAnImage) {
  const auto network = layers::make_network("resnet20", 10);
  // The first convolution; 18 that are as large as the first stage's, two of them with half the inputs.
  constexpr double whole = 32 * 32 * 16 * 144, products = 32 * 32 * 16 * 27 + 17 * whole + 640;
  EXPECT_NEAR(flops_of_image(*network, 32) / (2 * products), 1, 0.01);
  EXPECT_GT(seconds_on_ref(1e6), 0);
}

TEST(Statistics, OfValuesAndDifferences) {
  const float infinity = std::numeric_limits<float>::infinity();
  const Statistics s = statistics_of(tensor({5}, {0, -2, 6, infinity, 0}));
  EXPECT_EQ(s.min, -2);
  EXPECT_EQ(s.max, 6);
  EXPECT_EQ(s.mean, 1);
  EXPECT_EQ(s.zero_share, 0.4);
  EXPECT_EQ(s.not_finite, 1);
  EXPECT_EQ(statistics_of(empty({0})).zero_share, 0) << "of no value, none is zero";
  EXPECT_DOUBLE_EQ(relative_error(tensor({2}, {3, 4}), tensor({2}, {3, 5})), 1 / std::sqrt(34.));
  EXPECT_EQ(relative_error(tensor({1}, {infinity}), tensor({1}, {infinity})), 0);
  EXPECT_TRUE(std::isinf(relative_error(tensor({1}, {infinity}), tensor({1}, {1}))));
  const Tensor nan = tensor({1}, {std::nanf("")});
  EXPECT_EQ(relative_error(nan, nan), 0);
  EXPECT_TRUE(std::isinf(relative_error(nan, tensor({1}, {1}))));
  EXPECT_TRUE(std::isinf(relative_error(tensor({1}, {1}), nan)));
}

}  // namespace
}  // namespace reprise::test
