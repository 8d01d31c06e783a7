// Times ops on the shapes of real networks, made from the op cases: forward,
// and the gradient of each input by itself. Prints GFLOP/s and GB/s.
#include <benchmark/benchmark.h>

#include <chrono>

#include "engine/autograd/autograd.h"
#include "engine/cases/run_case.h"

using namespace reprise;

namespace {

// Ops and their case parameters, for batches of 32: the convolutions of
// ResNets, then ops that memory limits, on the activations of ResNets.
const std::pair<const char*, std::vector<std::string>> timed[] = {
    {"conv2d",
     {"x=32x224x224x3 w=64x7x7x3 stride=2 pad=3",
      "x=32x56x56x64 w=64x3x3x64 pad=1",
      "x=32x56x56x64 w=128x3x3x64 stride=2 pad=1",
      "x=32x28x28x128 w=128x3x3x128 pad=1",
      "x=32x14x14x256 w=256x3x3x256 pad=1",
      "x=32x7x7x512 w=512x3x3x512 pad=1",
      "x=32x32x32x16 w=16x3x3x16 pad=1",
      "x=32x16x16x32 w=32x3x3x32 pad=1",
      "x=32x8x8x64 w=64x3x3x64 pad=1",
      "x=32x56x56x64 w=256x1x1x64",
      "x=32x28x28x128 w=512x1x1x128",
      "x=32x14x14x256 w=1024x1x1x256",
      "x=32x7x7x512 w=2048x1x1x512",
      "x=32x56x56x256 w=64x1x1x256",
      "x=32x28x28x512 w=128x1x1x512",
      "x=32x14x14x1024 w=256x1x1x1024",
      "x=32x7x7x2048 w=512x1x1x2048",
      "x=32x56x56x256 w=512x1x1x256 stride=2",
      "x=32x28x28x512 w=1024x1x1x512 stride=2",
      "x=32x14x14x1024 w=2048x1x1x1024 stride=2",
      "x=32x56x56x128 w=128x3x3x4 groups=32 pad=1",
      "x=32x28x28x256 w=256x3x3x8 groups=32 pad=1",
      "x=32x14x14x512 w=512x3x3x16 groups=32 pad=1"}},
    {"depthwise_conv2d",
     {"x=32x112x112x64 w=3x3x64 pad=1", "x=32x56x56x64 w=3x3x64 pad=1", "x=32x28x28x128 w=3x3x128 pad=1",
      "x=32x14x14x256 w=3x3x256 pad=1", "x=32x7x7x512 w=3x3x512 pad=1",
      // MobileNetV2's
      "x=32x112x112x96 w=3x3x96 pad=1 stride=2", "x=32x56x56x144 w=3x3x144 pad=1",
      "x=32x28x28x192 w=3x3x192 pad=1 stride=2", "x=32x14x14x384 w=3x3x384 pad=1",
      "x=32x14x14x576 w=3x3x576 pad=1 stride=2", "x=32x7x7x960 w=3x3x960 pad=1"}},
    {"batch_norm",
     {"x=32x112x112x64", "x=32x56x56x64", "x=32x7x7x512", "x=32x56x56x256", "x=32x14x14x1024",
      "x=32x7x7x2048"}}};

// Returns the case with these parameters. It keeps the last one, because several
// benchmarks share its inputs; the reference is valid until the next call.
const cases::Case& case_of(const cases::OpCases& op, const std::string& parameters) {
  static cases::Case made("");
  if (made.name != op.op + " " + parameters) made = op.make(parameters);
  return made;
}

// Times forward (wanted = -1), or the backward that computes the gradient of
// input `wanted` only. The other parameters are sealed, as in a frozen network.
void time_case(benchmark::State& state, const cases::OpCases& op, const std::string& parameters, int wanted) {
  using Clock = std::chrono::steady_clock;
  const cases::Case& c = case_of(op, parameters);
  cases::Inputs inputs = cases::inputs_on(c, {cpu_device, DType::f32});
  double bytes = 0;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    set_requires_grad(inputs[i], static_cast<int>(i) == wanted);
    if (static_cast<int>(i) != wanted && c.inputs[i].parameter) inputs[i] = inputs[i].sealed_copy();
    bytes += static_cast<double>(inputs[i].bytes());
  }
  const Tensor seed = ones(c.run(inputs)[0].shape());
  for (auto _ : state) {
    auto start = Clock::now();
    const Tensor y = c.run(inputs)[0];
    if (wanted >= 0) {
      start = Clock::now();
      backward(y, seed);
    }
    state.SetIterationTime(std::chrono::duration<double>(Clock::now() - start).count());
    if (wanted >= 0) clear_grad(inputs[static_cast<std::size_t>(wanted)]);
  }
  bytes += static_cast<double>(seed.bytes());
  using benchmark::Counter;
  state.counters["GFLOP/s"] = Counter(c.flops * 1e-9, Counter::kIsIterationInvariantRate);
  state.counters["GB/s"] = Counter(bytes * 1e-9, Counter::kIsIterationInvariantRate);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what[] = {" forward", " gradient of x", " gradient of the parameter"};
  for (const auto& [name, list] : timed)
    for (const cases::OpCases& op : cases::all())
      for (std::size_t i = 0; op.op == name && i < 3 * list.size(); ++i)
        benchmark::RegisterBenchmark((op.op + " " + list[i / 3] + what[i % 3]).c_str(), time_case, op,
                                     list[i / 3], static_cast<int>(i % 3) - 1)
            ->Unit(benchmark::kMillisecond)
            ->UseManualTime();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
}
