#include "engine/kernels/profile.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "engine/kernels/run.h"

namespace reprise {
namespace {

TimedKernel kernel(std::string name, double start, double seconds, std::string layer = "",
                   std::string shapes = " [2] -> [2]") {
  TimedKernel k{std::move(name),  cpu_device, DType::f32, std::move(shapes),
                std::move(layer), 1,          start,      seconds};
  k.flop = 2e6, k.bytes = 1e6;
  return k;
}

TEST(Profile, TheTableIsSortedByTimeAndAddsUp) {
  KernelTable table(false);
  table.add(kernel("short", 0, 0.001));
  table.add(kernel("long", 1, 0.002));
  table.add(kernel("long", 2, 0.004, "", " [3] -> [3]"));
  const std::string text = table.text({.flops = 1e9, .bytes = 1e9});
  const auto at = [&](const char* what) { return text.find(what); };
  ASSERT_NE(at("short"), std::string::npos) << text;
  EXPECT_LT(at("long"), at("short")) << text;
  EXPECT_LT(at("short"), at("total")) << text;
  // 6 of 7 ms; 4e6 operations in 6 ms are 0.67 GFLOP/s of 1, and 0.33 GB/s of 1.
  EXPECT_NE(at("      6.00   86 %       2      0.7     0.3  67 % compute"), std::string::npos) << text;
  EXPECT_NE(at("      7.00  100 %       3      0.9     0.4  -              total\n"), std::string::npos)
      << text;
}

TEST(Profile, TheTableCanTellShapesApartAndEndsWithTheRest) {
  KernelTable table(true);
  for (int i = 0; i < 5; ++i) table.add(kernel("op", i, 0.001 * (i + 1), "", " [" + std::to_string(i) + "]"));
  const std::string text = table.text({.flops = 1e9, .bytes = 1e9}, 2);
  EXPECT_NE(text.find(" [4]"), std::string::npos) << text;
  EXPECT_EQ(text.find(" [0]"), std::string::npos) << text;
  EXPECT_NE(text.find("      6.00   40 %       3      1.0     0.5  -              (3 more)\n"),
            std::string::npos)
      << text;
  EXPECT_EQ(table.text({}, 5).find("more)"), std::string::npos) << "five rows hold all";
}

TEST(Profile, TheTraceNestsKernelsInTheirLayers) {
  KernelTrace trace;
  trace.add(kernel("a", 10, 0.5, "layer1.0.conv1"));
  trace.add(kernel("b", 11, 0.25, "layer1.0.conv1", " \"odd\" \\ \n shape"));
  trace.add(kernel("c", 12, 0.25));
  trace.add(kernel("d", 13, 0.25, "layer1.0.conv1"));
  const auto events = nlohmann::json::parse(trace.json());
  std::map<std::string, nlohmann::json> layers, kernels;
  std::vector<double> lasts;
  for (const auto& e : events) {
    if (e.at("ph") == "M") continue;
    EXPECT_EQ(e.at("ph"), "X");
    EXPECT_GE(e.at("ts").get<double>(), 0);
    EXPECT_GT(e.at("dur").get<double>(), 0);
    if (e.at("cat") == "layer") lasts.push_back(e.at("dur").get<double>());
    (e.at("cat") == "layer" ? layers : kernels)[e.at("name")] = e;
  }
  ASSERT_EQ(kernels.size(), 4u);
  EXPECT_EQ(kernels["b"].at("ts"), 1e6);  // microseconds from the first kernel
  EXPECT_EQ(kernels["b"].at("args").at("shapes"), " \"odd\" \\   shape");
  EXPECT_EQ(kernels["b"].at("args").at("layer"), "layer1.0.conv1");
  EXPECT_EQ(kernels["a"].at("args").at("GFLOP/s"), 0.0);  // 2e6 in half a second, to one place
  EXPECT_EQ(kernels["c"].at("args").at("layer"), "");
  // d came after c: the layer has two events, of which the map keeps the last; neither spans c.
  ASSERT_EQ(layers.size(), 1u);
  EXPECT_EQ(layers["layer1.0.conv1"].at("ts"), 3e6);
  EXPECT_EQ(lasts, (std::vector<double>{1250000, 250000}));
  EXPECT_NE(layers["layer1.0.conv1"].at("tid"), kernels["a"].at("tid"));
}

TEST(Profile, ATraceKeepsTheFirstAndCountsTheRest) {
  KernelTrace trace;
  for (std::size_t i = 0; i < KernelTrace::most + 3; ++i) trace.add(kernel("k", static_cast<double>(i), 0.5));
  const std::string json = trace.json();
  EXPECT_NE(json.find("3 later ones left out"), std::string::npos);
}

TEST(Profile, OperandsHaveTheNamesOfTheTable) {
  std::string_view names = kernels::conv2d_dgrad.signature;
  for (const char* name : {"args", "accumulate", "dy", "w", "dx"}) EXPECT_EQ(detail::take_name(names), name);
  names = kernels::BlockStatsIn::names;
  for (const char* name : {"x", "w", "filter"}) EXPECT_EQ(detail::take_name(names), name);
  // A struct's operands are listed as they are declared.
  EXPECT_EQ(kernels::BlockStatsOut::names, "made, b, mean, var");
  EXPECT_EQ(kernels::BlockFwdIn::names, "x, w, filter, mean, var, gamma, beta, residual");
  EXPECT_EQ(kernels::BlockFwdOut::names, "made, y, open");
  EXPECT_EQ(kernels::BlockParamsIn::names, "x, filter, dy, open, mean, var");
  EXPECT_EQ(kernels::BlockParamsOut::names, "dgamma, dbeta");
  EXPECT_EQ(kernels::BlockGradIn::names, "x, b, w, filter, dy, open, mean, var, gamma, dgamma, dbeta");
  EXPECT_EQ(kernels::BlockGradOut::names, "dx, dfilter, dresidual");
}

TEST(Profile, OperationsAndBytesAreCounted) {
  const View x{&x, {2, 5, 7, 3}, DType::f32}, w{&x, {4, 3, 3, 3}, DType::f32},
      y{&x, {2, 5, 7, 4}, DType::f32};
  const TimedKernel k =
      timed_kernel("conv2d_fwd", cpu_device, DType::f32,
                   {{x, false, "x"}, {w, false, "w"}, {{}, false, "b"}, {y, true, "y"}}, 1, 2);
  EXPECT_EQ(k.bytes, 4 * (2 * 5 * 7 * 3 + 4 * 27 + 2 * 5 * 7 * 4));
  EXPECT_EQ(k.shapes, " [2, 5, 7, 3] [4, 3, 3, 3] -> [2, 5, 7, 4]");
  EXPECT_EQ(k.flop, 2.0 * 2 * 5 * 7 * 4 * 27);
  const auto flop = [](const char* name, const std::vector<KernelCall::Operand>& operands) {
    return timed_kernel(name, cpu_device, DType::f32, operands, 1, 2).flop;
  };
  EXPECT_EQ(flop("unary_fwd", {{x, false, "x"}, {y, true, "y"}}), 0);
  EXPECT_EQ(flop("conv2d_wgrad", {{x, false, "x"}, {w, true, "dw"}}), 0) << "without an output to count";
  EXPECT_EQ(flop("depthwise_fwd", {{{&x, {3, 2, 3}, DType::f32}, false, "w"}, {x, true, "y"}}),
            2.0 * 2 * 5 * 7 * 3 * 6);
  EXPECT_EQ(
      flop("linear_fwd", {{{&x, {10, 6}, DType::f32}, false, "w"}, {{&x, {4, 10}, DType::f32}, true, "y"}}),
      2.0 * 4 * 10 * 6);
  const View a{&x, {5, 6}, DType::f32}, b{&x, {6, 7}, DType::f32}, product{&x, {5, 7}, DType::f32};
  EXPECT_EQ(flop("matmul", {{a, false, "a"}, {b, false, "b"}, {product, true, "y"}}), 2.0 * 5 * 6 * 7);
}

TEST(Profile, WithoutAMeasuredMachineThereIsNoShareOfALimit) {
  KernelTable table(false);
  table.add(kernel("k", 0, 0.001));
  for (const Machine& machine : {Machine{.flops = 1e9}, {.bytes = 1e9}})
    EXPECT_NE(table.text(machine).find("  -              k "), std::string::npos) << table.text(machine);
}

TEST(Profile, AKernelOfNoTimeHasNoRate) {
  KernelTable table(false);
  table.add(kernel("k", 0, 0));
  const std::string text = table.text({.flops = 1e9, .bytes = 1e9});
  EXPECT_NE(text.find("      0.00    0 %       1      0.0     0.0  -              k "), std::string::npos)
      << text;
}

TEST(Profile, TheMachineHasLimits) {
  const Machine machine = measure_machine();
  EXPECT_GT(machine.flops, 1e8);
  EXPECT_LT(machine.flops, 2e14);
  EXPECT_GT(machine.bytes, 1e8);
  EXPECT_LT(machine.bytes, 2e13);
}

}  // namespace
}  // namespace reprise
