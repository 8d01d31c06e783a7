// One program for all ops, in four modes:
//   test_ops                  compares every case with ref in double; then lists kernels without a case
//   test_ops --mode=grad      compares the gradients of every case with differences
//   test_ops --mode=perf      times every case, forward and forward + backward
//   test_ops --mode=support   prints which kernels exist
// --op=NAME, --case='parameters' and --device=cpu select; a printed case can be pasted back. --op leaves
// out the tests of messages and planted faults.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <set>
#include <tuple>

#include "engine/autograd/autograd.h"
#include "engine/base/check.h"
#include "engine/base/gpu.h"
#include "engine/base/parallel.h"
#include "engine/core/storage.h"
#include "engine/kernels/run.h"
#include "tests/ops/runner.h"

#ifdef REPRISE_CUDA_EMULATED
#include "tests/emulation/launch.h"
#endif

namespace reprise::testing {
namespace {

struct Options {
  std::string mode = "test", op, parameters, device;
};
struct Chosen {
  const OpCases* op;
  std::string parameters;
};

std::vector<Chosen> chosen_cases(const Options& options) {
  std::vector<Chosen> some;
  for (const OpCases& op : all()) {
    if (!options.op.empty() && op.op != options.op) continue;
    if (!options.parameters.empty())
      some.push_back({&op, options.parameters});
    else
      for (const std::string& parameters : op.cases) some.push_back({&op, parameters});
  }
  REPRISE_CHECK(!some.empty(), "test_ops: there is no op '{}'", options.op);
  REPRISE_CHECK(options.parameters.empty() || !options.op.empty(), "test_ops: --case needs --op");
  return some;
}

// The kernels that ran, with device and dtype.
std::set<std::tuple<std::string, Device::Kind, DType>>& ran() {
  static std::set<std::tuple<std::string, Device::Kind, DType>> set;
  return set;
}
double most_used = 0;
std::string most_used_case;

// Makes kernels run in another order: with 3 threads instead of 1 on the cpu, and in the emulation
// with a block's threads backwards, or for bf16 with its warps interleaved.
void change_order(bool changed, [[maybe_unused]] bool bf16) {
  set_thread_count(changed ? 3 : 0);
#ifdef REPRISE_CUDA_EMULATED
  using emulation::Order;
  emulation::set_order(!changed ? Order::forwards : bf16 ? Order::interleaved : Order::backwards);
#endif
}

class CaseTest : public ::testing::Test {
 public:
  CaseTest(Chosen chosen, std::string device) : chosen_(std::move(chosen)), device_(std::move(device)) {}
  void TestBody() override {
    const Case drawn = chosen_.op->make(chosen_.parameters), rounded = drawn.rounded_to_bf16();
    const Target truth{ref_device, DType::f64};
    const std::vector<Result> exact = run_case(drawn, truth),
                              exact_of_rounded = drawn.bf16_roundings > 0 ? run_case(rounded, truth) : exact;
    for (const Target& target : targets(device_)) {
      const bool in_bf16 = target.dtype == DType::bf16;
      if (in_bf16 && drawn.bf16_roundings == 0) continue;
      const Case& c = in_bf16 ? rounded : drawn;
      const std::vector<Result>& want = in_bf16 ? exact_of_rounded : exact;
      set_thread_count(1);
      const std::vector<Result> got = run_case(c, target);
      const Comparison result = compare(got, want, allowance(c, target.dtype), c.terms);
      EXPECT_TRUE(result.passed) << to_string(target) << " differs from ref f64\n"
                                 << result.report << "  again: test_ops --op=" << chosen_.op->op
                                 << " --case='" << chosen_.parameters << "'";
      if (result.used > most_used) {
        most_used = result.used;
        most_used_case = c.name + " on " + to_string(target);
      }
      change_order(true, in_bf16);
      EXPECT_TRUE(same_bits(got, run_case(c, target)))
          << to_string(target) << ": other bits in a second run, in another order of threads";
      change_order(false, in_bf16);
    }
  }

 private:
  Chosen chosen_;
  std::string device_;
};

// Checks all small cases of an op, at least one. Large cases are left to --mode=grad.
class GradientTest : public ::testing::Test {
 public:
  explicit GradientTest(const OpCases& op) : op_(op) {}
  void TestBody() override {
    int checked = 0;
    bool any = false;
    for (const std::string& parameters : op_.cases) {
      const Case c = op_.make(parameters);
      if (c.by_differences) any = true;
      if (c.integers || size_of(c) > size_for_differences) continue;
      ++checked;
      const GradCheckResult result = check_gradients(c, 16);
      EXPECT_TRUE(result.passed) << c.name << "\n" << result.report;
    }
    EXPECT_TRUE(checked > 0 || !any) << op_.op << ": no case is small enough for a gradient check";
  }

 private:
  const OpCases& op_;
};

// Checks that every function of the kernel table ran in some case.
class TableTest : public ::testing::Test {
 public:
  void TestBody() override {
#define KERNEL(name_, ...) check(kernels::name_);
#include "engine/kernels/kernels.def"
#undef KERNEL
    if (most_used_case.empty()) return;
    std::cout << "  most of an allowance used: " << most_used << " by " << most_used_case << "\n";
  }

 private:
  template <class K>
  void check(const K& kernel) {
    for (const Device::Kind kind : {Device::Kind::ref, Device::Kind::cpu, Device::Kind::cuda}) {
      if (kind == Device::Kind::cuda && gpu::count() == 0) continue;
      for (int d = 0; d < dtype_count; ++d)
        if (kernel.function[static_cast<int>(kind)][d] != nullptr) {
          EXPECT_TRUE(ran().contains({kernel.name, kind, static_cast<DType>(d)}))
              << kernel.name << ": no case ran it on " << name_of(kind) << " in "
              << name_of(static_cast<DType>(d));
        }
    }
  }
};

// Says so if the run left out the cuda backend.
class GpuTest : public ::testing::Test {
 public:
  void TestBody() override {
    if (gpu::count() == 0) GTEST_SKIP() << "no GPU can be used here: the cuda kernels have not run";
    std::cout << "  " << gpu::describe(0) << "\n";
  }
};

// Fails a test of any kind in which something wrote outside its tensor.
class GuardsHold : public ::testing::EmptyTestEventListener {
  void OnTestEnd(const ::testing::TestInfo&) override {
    EXPECT_EQ(guard_violations(), violations_) << "something wrote outside its tensor";
    violations_ = guard_violations();
  }
  std::int64_t violations_ = 0;
};

int run_tests(const Options& options) {
  set_memory_debug(true);
  ::testing::UnitTest::GetInstance()->listeners().Append(new GuardsHold);
  set_kernel_observer([](const char* name, Device::Kind kind, DType dtype) {
    ran().insert({name, kind, dtype});
  });
  for (const Chosen& c : chosen_cases(options))
    ::testing::RegisterTest(c.op->op.c_str(), c.parameters.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                            [c, options]() -> ::testing::Test* { return new CaseTest(c, options.device); });
  if (!options.op.empty() && GTEST_FLAG_GET(filter) == "*")
    GTEST_FLAG_SET(filter, fmt::format("{0}.*:gradient.{0}", options.op));
  if (!options.parameters.empty()) return RUN_ALL_TESTS();
  for (const OpCases& op : all())
    if (options.op.empty() || op.op == options.op)
      ::testing::RegisterTest("gradient", op.op.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                              [&op]() -> ::testing::Test* { return new GradientTest(op); });
  if (options.op.empty() && options.device.empty() && GTEST_FLAG_GET(filter) == "*")
    ::testing::RegisterTest("table", "every_kernel_has_a_case", nullptr, nullptr, __FILE__, __LINE__,
                            []() -> ::testing::Test* { return new TableTest; });
  if (options.op.empty() && options.device.empty())
    ::testing::RegisterTest("cuda", "is_there", nullptr, nullptr, __FILE__, __LINE__,
                            []() -> ::testing::Test* { return new GpuTest; });
  return RUN_ALL_TESTS();
}

int run_gradients(const Options& options) {
  int failed = 0;
  for (const Chosen& chosen : chosen_cases(options)) {
    const Case c = chosen.op->make(chosen.parameters);
    const GradCheckResult result = check_gradients(c, 64);
    failed += result.passed ? 0 : 1;
    std::cout << (result.passed ? "ok    " : "WRONG ") << c.name << "\n" << result.report << std::flush;
  }
  std::cout << failed << " wrong\n";
  return failed == 0 ? 0 : 1;
}

// Returns the shortest time of several runs, in seconds.
double shortest(const std::function<void()>& f) {
  using Clock = std::chrono::steady_clock;
  double best = 1e30, total = 0;
  for (int i = 0; i < 3 || (total < 0.2 && i < 1000); ++i) {
    const auto start = Clock::now();
    f();
    const double t = std::chrono::duration<double>(Clock::now() - start).count();
    best = std::min(best, t);
    total += t;
  }
  return best;
}

int run_perf(const Options& options) {
  std::printf("%-9s %10s %10s %9s %8s  %s\n", "target", "forward ms", "+backward", "GFLOP/s", "GB/s", "case");
  for (const Chosen& chosen : chosen_cases(options)) {
    const Case c = chosen.op->make(chosen.parameters);
    for (const Target& target : targets(options.device.empty() ? "cpu" : options.device)) {
      if (target.dtype == DType::bf16 && c.bf16_roundings == 0) continue;
      const Inputs inputs = inputs_on(c, target);
      double bytes = 0, forward = 0;
      for (const Tensor& in : inputs) bytes += static_cast<double>(in.bytes());
      {
        const NoGrad no_grad;
        for (const Tensor& y : c.run(inputs)) bytes += static_cast<double>(y.bytes());
        forward = shortest([&] { c.run(inputs); });
      }
      double both = forward;
      if (const Tensor y = c.run(inputs)[0]; requires_grad(y)) {
        const Tensor seed = ones(y.shape(), y.dtype(), y.device());
        both = shortest([&] { backward(c.run(inputs)[0], seed); });
      }
      std::printf("%-9s %10.4f %10.4f %9.2f %8.2f  %s\n", to_string(target).c_str(), forward * 1e3,
                  both * 1e3, c.flops / forward * 1e-9, bytes / forward * 1e-9, c.name.c_str());
    }
  }
  return 0;
}

int run_support() {
  std::cout << support_matrix() << "\n";
  for (const OpCases& op : all()) std::cout << op.op << ": " << op.cases.size() << " cases\n";
  return 0;
}

int run_main(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    const auto option = [&](std::string_view name, std::string& value) {
      if (!word.starts_with(name)) return false;
      value = word.substr(name.size());
      return true;
    };
    REPRISE_CHECK(option("--mode=", options.mode) || option("--op=", options.op) ||
                      option("--case=", options.parameters) || option("--device=", options.device),
                  "test_ops: unknown option '{}'", word);
  }
  if (options.mode == "test") return run_tests(options);
  if (options.mode == "grad") return run_gradients(options);
  if (options.mode == "perf") return run_perf(options);
  if (options.mode == "support") return run_support();
  throw_error("test_ops: expected --mode=test, grad, perf or support, got '{}'", options.mode);
}

}  // namespace
}  // namespace reprise::testing

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  try {
    return reprise::testing::run_main(argc, argv);
  } catch (const reprise::Error& e) {
    std::cerr << e.what() << "\n";
    return 2;
  }
}
