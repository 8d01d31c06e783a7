// Prints the story of the hot kernels: a plain version, faster
// versions, why each is faster, and its error against ref in double.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string_view>
#include <vector>

#include "apps/bench/lab/versions.h"
#include "engine/base/check.h"
#include "engine/base/parallel.h"
#include "engine/base/random.h"
#include "engine/core/tensor.h"
#include "engine/kernels/cpu/base/isa.h"
#include "engine/kernels/cpu/base/machine.h"
#include "engine/kernels/cpu/conv/bf16_order.h"
#include "engine/kernels/cpu/conv/winograd.h"
#include "engine/kernels/run.h"

using namespace reprise;

namespace {

constexpr std::int64_t images = 32, size = 56, channels = 64;
constexpr Conv2dArgs same_3x3{.padding = {1, 1}};

Tensor random_tensor(const Shape& shape, const char* stream_name) {
  Tensor t = empty(shape);
  RandomStream stream(0, stream_name);
  float* p = t.mutable_data<float>();
  for (std::int64_t i = 0; i < t.numel(); ++i) p[i] = static_cast<float>(stream.uniform(-1, 1));
  return t;
}

// Returns a copy of x (N,H,W,C) with a border of one zero pixel around each image: (N,H+2,W+2,C).
Tensor padded(const Tensor& x) {
  Tensor p = zeros({x.dim(0), x.dim(1) + 2, x.dim(2) + 2, x.dim(3)});
  const std::int64_t row = x.dim(2) * x.dim(3);
  for (std::int64_t n = 0; n < x.dim(0); ++n)
    for (std::int64_t i = 0; i < x.dim(1); ++i)
      std::copy_n(x.data<float>() + (n * x.dim(1) + i) * row, row,
                  p.mutable_data<float>() + ((n * p.dim(1) + i + 1) * p.dim(2) + 1) * x.dim(3));
  return p;
}

double error_of(const Tensor& result, const Tensor& exact) {
  const Tensor y = result.to(DType::f32);
  double largest = 0, error = 0;
  for (std::int64_t i = 0; i < exact.numel(); ++i) {
    largest = std::max(largest, std::abs(exact.data<double>()[i]));
    error = std::max(error, std::abs(static_cast<double>(y.data<float>()[i]) - exact.data<double>()[i]));
  }
  return error / largest;
}

double time_each = 0.4;  // seconds for the measurement of one version

// The table of one kernel.
struct Story {
  double work, limit;  // operations of the direct form or bytes that must move; the limit of them per second
  const char* unit;    // of 1e9 of them per second
  Tensor exact;        // the result of ref in f64, for the first image or for all
  double first = 0;    // seconds of the first version

  // Runs one version, checks y against `exact`, times it and prints its row. Error if y is wrong.
  void tell(const char* name, const char* why, const Tensor& y, const std::function<void()>& run_once) {
    run_once();
    const double error = error_of(y, exact);
    REPRISE_CHECK(error < (y.dtype() == DType::bf16 ? 1e-2 : 1e-5),
                  "{}: {} of the largest value away from ref", name, error);
    double best = 1e30;
    for (double spent = 0; spent < time_each || best == 1e30;) {
      const double start = seconds_now();
      run_once();
      const double took = seconds_now() - start;
      best = std::min(best, took);
      spent += took;
    }
    if (first == 0) first = best;
    fmt::print("| {} | {:.2f} | {:.1f} {} | {:.0f} % | {:.0f}x | {:.0e} | {} |\n", name, best * 1e3,
               work / best * 1e-9, unit, 100 * work / best / limit, first / best, error, why);
  }
};

void heading(const char* what) {
  fmt::print("\n{}\n\n| version | ms | rate | of the limit | against the first | error | why |\n", what);
  fmt::print("| --- | --- | --- | --- | --- | --- | --- |\n");
}

template <class F>
void each_image(const Tensor& x, Tensor& y, F f) {
  const float* from = x.data<float>();
  float* to = y.mutable_data<float>();
  const std::int64_t in = x.numel() / images, out = y.numel() / images;
  parallel_for(images, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = begin; n < end; ++n) f(from + n * in, to + n * out);
  });
}

void convolution(const Machine& machine) {
  const Tensor x = random_tensor({images, size, size, channels}, "lab/x"), with_border = padded(x);
  const Tensor w = random_tensor({channels, 3, 3, channels}, "lab/w"), sealed = w.sealed_copy();
  Tensor y = empty(x.shape()), exact = empty({1, size, size, channels}, DType::f64, ref_device);
  run(kernels::conv2d_fwd, ref_device, DType::f64, same_3x3,
      x.rows(0, 1).to(ref_device).to(DType::f64).view(), w.to(ref_device).to(DType::f64).view(),
      exact.mut_view());
  Tensor transposed = empty({3, 3, channels, channels});
  for (std::int64_t o = 0; o < channels; ++o)
    for (std::int64_t k = 0; k < 9 * channels; ++k)
      transposed.mutable_data<float>()[k * channels + o] = w.data<float>()[o * 9 * channels + k];

  heading("A 3x3 convolution, (32,56,56,64) to 64 channels");
  Story story{2.0 * images * size * size * channels * channels * 9, machine.flops, "GFLOP/s", exact};
  const auto& versions = kernels::cpu::conv_versions();
  const lab::ConvCase k{size, size, channels, channels};
  const auto ours = [&](auto version, const Tensor& filter) {
    return [&, version] {
      each_image(with_border, y,
                 [&](const float* in, float* out) { version(k, in, filter.data<float>(), out); });
    };
  };
  story.tell("plain loops", "the formula: one sum at a time, each addition waits for the last", y,
             ours(versions.plain, w));
  story.tell("channels innermost", "a vector of independent sums; but three memory accesses an operation", y,
             ours(versions.channels, transposed));
  story.tell("a tile in registers", "weights serve many pixels, sums are stored once", y,
             ours(versions.tile, transposed));
  const Tensor x16 = x.to(DType::bf16);
  Tensor y16 = empty(x.shape(), DType::bf16);
  const auto engine = [&](const Tensor& in, Tensor& out) {
    return [&] {
      run(kernels::conv2d_fwd, cpu_device, in.dtype(), same_3x3, in.view(), sealed.view(), out.mut_view());
    };
  };
  const bool blocks = kernels::cpu::bf16_order() == kernels::cpu::Bf16Order::blocks;
  const bool pairs = kernels::cpu::cpu_isa() >= kernels::cpu::Isa::avx512bf16;
  kernels::cpu::set_winograd(false);
  story.tell("engine, direct", "any shape, no border written; filters packed once, as the tile reads them", y,
             engine(x, y));
  story.tell("engine, direct, bf16",
             blocks  ? "AMX: sixteen rows by sixteen columns by sixteen pairs an instruction"
             : pairs ? "two products an instruction (vdpbf16ps)"
                     : "half the bytes; widened as the input is copied",
             y16, engine(x16, y16));
  kernels::cpu::set_winograd(true);
  story.tell("engine, Winograd", "F(4x4,3x3): 36 products where the direct form has 144", y, engine(x, y));
  if (blocks) return;  // this order of sums never uses Winograd's form
  story.tell("engine, Winograd, bf16",
             "half the bytes; products in f32, because transforms in bf16 would round too much", y16,
             engine(x16, y16));
}

void depthwise(const Machine& machine) {
  const Tensor x = random_tensor({images, size, size, channels}, "lab/x"), with_border = padded(x);
  const Tensor w = random_tensor({3, 3, channels}, "lab/depthwise");
  Tensor y = empty(x.shape()), exact = empty({1, size, size, channels}, DType::f64, ref_device);
  run(kernels::depthwise_fwd, ref_device, DType::f64, same_3x3,
      x.rows(0, 1).to(ref_device).to(DType::f64).view(), w.to(ref_device).to(DType::f64).view(),
      exact.mut_view());

  heading("The reprogramming filter: a depthwise 3x3 convolution of (32,56,56,64)");
  Story story{static_cast<double>(x.bytes() + y.bytes()), machine.bytes, "GB/s", exact};
  const auto& versions = kernels::cpu::depthwise_versions();
  const auto ours = [&](auto version) {
    return [&, version] {
      each_image(with_border, y, [&](const float* in, float* out) {
        version({size, size, channels}, in, w.data<float>(), out);
      });
    };
  };
  story.tell("plain loops", "each load uses one number of a cache line", y, ours(versions.plain));
  story.tell("channels innermost", "vectors of neighbours; 18 loads for 9 multiply-adds", y,
             ours(versions.channels));
  story.tell("fourteen pixels at a time",
             "19 loads for 42 multiply-adds; yet slower: memory is read in short runs", y,
             ours(versions.blocks));
  story.tell("and prefetched", "the next row is prefetched by hand: the hardware does not foresee it", y,
             ours(versions.prefetched));
  story.tell("engine", "the same for any shape, no border written", y, [&] {
    run(kernels::depthwise_fwd, cpu_device, DType::f32, same_3x3, x.view(), w.view(), y.mut_view());
  });
}

void block(const Machine& machine) {
  const Shape shape{images, size, size, channels};
  const Tensor x = random_tensor(shape, "lab/x"), w = random_tensor({3, 3, channels}, "lab/depthwise");
  const Tensor gamma = ones({channels}), beta = zeros({channels});
  Tensor b = empty(shape), normal = empty(shape), y = empty(shape);
  Tensor mean = empty({channels}), var = empty({channels});
  const BatchNormArgs norm{};
  const auto parts = [&](Device device, DType dtype, auto at) {
    run(kernels::depthwise_fwd, device, dtype, same_3x3, at(x).view(), at(w).view(), b.mut_view());
    run(kernels::batch_norm_stats, device, dtype, b.view(), mean.mut_view(), var.mut_view());
    run(kernels::batch_norm_fwd, device, dtype, norm, b.view(), mean.view(), var.view(), at(gamma).view(),
        at(beta).view(), normal.mut_view());
    run(kernels::unary_fwd, device, dtype, UnaryArgs{UnaryOp::relu}, normal.view(), y.mut_view());
  };
  // First the parts on ref in double, then new tensors for the CPU.
  for (Tensor* t : {&b, &normal, &y, &mean, &var}) *t = empty(t->shape(), DType::f64, ref_device);
  parts(ref_device, DType::f64, [](const Tensor& t) { return t.to(ref_device).to(DType::f64); });
  const Tensor exact = y;
  for (Tensor* t : {&b, &normal, &y, &mean, &var}) *t = empty(t->shape());

  heading("The epilogue of a convolution in training: filter, batch norm, ReLU, on (32,56,56,64)");
  // The bytes that every version moves: it reads x, writes b, reads b and writes y.
  Story story{4.0 * static_cast<double>(x.bytes()), machine.bytes, "GB/s", exact};
  story.tell("op by op", "seven passes over memory: 2 filter, 1 statistics, 2 normalise, 2 ReLU", y,
             [&] { parts(cpu_device, DType::f32, [](const Tensor& t) { return t; }); });
  const ConvBlockArgs block;
  story.tell("engine, conv_block", "statistics while a filtered row is in cache, then one pass: four", y,
             [&] {
               run(kernels::conv_block_stats, cpu_device, DType::f32, block,
                   kernels::BlockStatsIn{.x = x.view(), .w = {}, .filter = w.view()},
                   kernels::BlockStatsOut{{}, b.mut_view(), mean.mut_view(), var.mut_view()});
               kernels::BlockFwdIn in;
               in.x = b.view(), in.mean = mean.view(), in.var = var.view(), in.gamma = gamma.view(),
               in.beta = beta.view();
               run(kernels::conv_block_fwd, cpu_device, DType::f32, block, in,
                   kernels::BlockFwdOut{{}, y.mut_view(), {}});
             });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 2 || (argc == 2 && std::string_view(argv[1]) != "--quick")) {
    fmt::print(stderr, "usage: bench_lab [--quick]    --quick: checks every version, times it once\n");
    return 2;
  }
  if (argc == 2) time_each = 0;
  try {
    const Machine machine = measure_machine();
    fmt::print("{} threads, {}; limits measured: {:.0f} GFLOP/s, {:.0f} GB/s\n", thread_count(),
               kernels::cpu::name_of(kernels::cpu::cpu_isa()), machine.flops * 1e-9, machine.bytes * 1e-9);
    convolution(machine);
    depthwise(machine);
    block(machine);
    return 0;
  } catch (const Error& e) {
    fmt::print(stderr, "bench_lab: {}\n", e.what());
    return 1;
  }
}
