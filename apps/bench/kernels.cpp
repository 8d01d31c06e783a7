// Single kernels on the shapes of real networks, with GFLOP/s and GB/s.
#include <benchmark/benchmark.h>

#include "engine/core/random.h"
#include "engine/core/tensor.h"
#include "engine/kernels/run.h"

using namespace reprise;

namespace {

Tensor random_tensor(const Shape& shape) {
  Tensor t = empty(shape);
  RandomStream stream(0, "bench/kernels");
  float* p = t.mutable_data<float>();
  for (std::int64_t i = 0; i < t.numel(); ++i) p[i] = static_cast<float>(stream.uniform(-1, 1));
  return t;
}

void report(benchmark::State& state, double flop, double bytes) {
  using benchmark::Counter;
  state.counters["GFLOP/s"] = Counter(flop * 1e-9, Counter::kIsIterationInvariantRate);
  state.counters["GB/s"] = Counter(bytes * 1e-9, Counter::kIsIterationInvariantRate);
}

// One convolution: pixels of the input, channels in and out, kernel, stride; batch 32.
struct ConvCase {
  std::int64_t size, c, o, kernel;
  int stride;
};
constexpr ConvCase convs[] = {
    {224, 3, 64, 7, 2},   {56, 64, 64, 3, 1},   {56, 64, 128, 3, 2},   {28, 128, 128, 3, 1},
    {14, 256, 256, 3, 1}, {7, 512, 512, 3, 1},  {32, 16, 16, 3, 1},    {16, 32, 32, 3, 1},
    {8, 64, 64, 3, 1},    {56, 64, 256, 1, 1},  {28, 128, 512, 1, 1},  {14, 256, 1024, 1, 1},
    {7, 512, 2048, 1, 1}, {56, 256, 64, 1, 1},  {28, 512, 128, 1, 1},  {14, 1024, 256, 1, 1},
    {7, 2048, 512, 1, 1}, {56, 256, 512, 1, 2}, {28, 512, 1024, 1, 2}, {14, 1024, 2048, 1, 2}};

void conv2d(benchmark::State& state) {
  const ConvCase& k = convs[state.range(0)];
  const int what = static_cast<int>(state.range(1));
  Conv2dArgs args;
  args.stride = {k.stride, k.stride};
  args.padding = {static_cast<int>(k.kernel / 2), static_cast<int>(k.kernel / 2)};
  const std::int64_t out = args.out_size(0, k.size, k.kernel);
  Tensor x = random_tensor({32, k.size, k.size, k.c}), y = random_tensor({32, out, out, k.o});
  const Tensor w = random_tensor({k.o, k.kernel, k.kernel, k.c}).sealed_copy();
  Tensor dw = empty(w.shape());
  for (auto _ : state) {
    if (what == 0) run(kernels::conv2d_fwd, cpu_device, DType::f32, args, x.view(), w.view(), y.mut_view());
    if (what == 1)
      run(kernels::conv2d_dgrad, cpu_device, DType::f32, args, false, y.view(), w.view(), x.mut_view());
    if (what == 2)
      run(kernels::conv2d_wgrad, cpu_device, DType::f32, args, x.view(), y.view(), dw.mut_view());
  }
  constexpr const char* names[] = {"fwd", "dgrad", "wgrad"};
  state.SetLabel(std::string(names[what]) + " " + to_string(x.shape()) + " * " + to_string(w.shape()) +
                 " / " + std::to_string(k.stride));
  report(state, 2.0 * static_cast<double>(y.numel() * k.c * k.kernel * k.kernel),
         static_cast<double>(x.bytes() + y.bytes() + w.bytes()));
}
BENCHMARK(conv2d)
    ->ArgsProduct({benchmark::CreateDenseRange(0, std::size(convs) - 1, 1), {0, 1, 2}})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

// What is bound by memory, on the activations of ResNet-18 and -50: pixels and channels; batch 32.
constexpr std::int64_t maps[][2] = {{112, 64}, {56, 64},  {28, 128},  {14, 256},
                                    {7, 512},  {56, 256}, {14, 1024}, {7, 2048}};

void depthwise(benchmark::State& state) {
  const auto [size, c] = maps[state.range(0)];
  const int what = static_cast<int>(state.range(1));
  Conv2dArgs args;
  args.padding = {1, 1};
  Tensor x = random_tensor({32, size, size, c}), y = random_tensor(x.shape());
  Tensor w = random_tensor({3, 3, c});
  for (auto _ : state) {
    if (what == 0)
      run(kernels::depthwise_fwd, cpu_device, DType::f32, args, x.view(), w.view(), y.mut_view());
    if (what == 1)
      run(kernels::depthwise_dgrad, cpu_device, DType::f32, args, false, y.view(), w.view(), x.mut_view());
    if (what == 2)
      run(kernels::depthwise_wgrad, cpu_device, DType::f32, args, x.view(), y.view(), w.mut_view());
  }
  report(state, 18.0 * static_cast<double>(x.numel()), 2.0 * static_cast<double>(x.bytes()));
}
BENCHMARK(depthwise)->ArgsProduct({{0, 1, 2, 3, 4}, {0, 1, 2}})->Unit(benchmark::kMillisecond)->UseRealTime();

void batch_norm(benchmark::State& state) {
  const auto [size, c] = maps[state.range(0)];
  const int what = static_cast<int>(state.range(1));
  const BatchNormArgs args;
  Tensor x = random_tensor({32, size, size, c}), y = random_tensor(x.shape()), dx = random_tensor(x.shape());
  Tensor mean = zeros({1, c}), var = ones({1, c}), gamma = ones({1, c}), beta = zeros({1, c});
  for (auto _ : state) {
    if (what == 0)
      run(kernels::batch_norm_stats, cpu_device, DType::f32, x.view(), mean.mut_view(), var.mut_view());
    if (what == 1)
      run(kernels::batch_norm_fwd, cpu_device, DType::f32, args, x.view(), mean.view(), var.view(),
          gamma.view(), beta.view(), y.mut_view());
    if (what == 2)
      run(kernels::batch_norm_bwd_params, cpu_device, DType::f32, args, x.view(), y.view(), mean.view(),
          var.view(), gamma.mut_view(), beta.mut_view());
    if (what == 3)
      run(kernels::batch_norm_bwd_train, cpu_device, DType::f32, args, x.view(), y.view(), mean.view(),
          var.view(), gamma.view(), gamma.view(), beta.view(), dx.mut_view());
  }
  constexpr int passes[] = {1, 2, 2, 3};
  report(state, 0, passes[what] * static_cast<double>(x.bytes()));
}
BENCHMARK(batch_norm)
    ->ArgsProduct({{0, 1, 4, 5, 6, 7}, {0, 1, 2, 3}})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
