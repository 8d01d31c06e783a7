// Times whole steps on random images: a CLR training step or
// inference. Prints images/s and the share of the machine's limit.
#include <sys/resource.h>

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <vector>

#include "engine/autograd/autograd.h"
#include "engine/base/gpu.h"
#include "engine/base/parallel.h"
#include "engine/base/random.h"
#include "engine/core/storage.h"
#include "engine/kernels/cpu/base/isa.h"
#include "engine/kernels/cpu/base/machine.h"
#include "engine/kernels/profile.h"
#include "engine/ops/ops.h"
#include "layers/layers.h"
#include "optim/optimizer.h"

using namespace reprise;

namespace {

struct Options {
  std::string arch = "resnet18", method = "clr", mode = "train";
  std::string device = "cpu", dtype = "f32";
  int size = 0, batch = 32, steps = 5, warmup = 2, classes = 100;
  bool json = false, tf32 = false, limits = true;
};

// Waits until the device has done its work. On the host a kernel is done when it returns.
void finish(Device device) {
  if (!device.is_host()) gpu::synchronize(device.index);
}

// Returns the rates of a large product (f32) and a large copy on
// a GPU, by the same ops that a step runs: the best of six each.
Machine measure_gpu(Device device) {
  const NoGrad no_grad;
  const std::int64_t n = 8192;
  const Tensor a = ones({n, n}, DType::f32, device);
  const auto seconds_of = [&](const auto& f) {
    double best = 1e30;
    for (int i = 0; i < 6; ++i) {
      finish(device);
      const double start = seconds_now();
      f();
      finish(device);
      best = std::min(best, seconds_now() - start);
    }
    return best;
  };
  Machine machine{};
  machine.flops = 2.0 * static_cast<double>(n * n * n) / seconds_of([&] { ops::matmul(a, a); });
  machine.bytes = 2.0 * static_cast<double>(a.bytes()) / seconds_of([&] { a.clone(); });
  return machine;
}

// Returns the most memory that this process has held at any time, in bytes.
std::size_t peak_resident_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::size_t>(usage.ru_maxrss) << 10;
}

Tensor random_images(int batch, int size, DType dtype) {
  Tensor images = empty({batch, size, size, 3}, DType::u8);
  RandomStream stream(0, "bench/images");
  auto* p = images.mutable_data<std::uint8_t>();
  for (std::int64_t i = 0; i < images.numel(); ++i) p[i] = static_cast<std::uint8_t>(stream.bits());
  return ops::normalize_images(images, dtype);
}

// Returns the operations of forward for one image of (size,size,3), by the
// layer table: two for each multiply-add of the convolutions and the head.
double forward_flop(layers::Network& network, int size) {
  double total = 0;
  for (const auto& row : layers::summarize(network, size, size)) total += static_cast<double>(row.flops);
  return total;
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  CLI::App app("Times whole steps of a network");
  app.add_option("--arch", o.arch);
  app.add_option("--method", o.method);
  app.add_option("--mode", o.mode)->check(CLI::IsMember({"train", "infer"}));
  app.add_option("--size", o.size);
  app.add_option("--batch", o.batch);
  app.add_option("--steps", o.steps);
  app.add_option("--device", o.device);
  app.add_option("--dtype", o.dtype)->check(CLI::IsMember({"f32", "bf16"}));
  app.add_option("--warmup", o.warmup);
  app.add_flag("--limits,!--no-limits", o.limits);  // --no-limits: the steps only, for a profiler
  app.add_flag("--tf32", o.tf32);
  app.add_flag("--json", o.json);
  CLI11_PARSE(app, argc, argv);

  const Device device = parse_device(o.device);
  gpu::set_tf32(o.tf32);
  const auto network = layers::make_network(o.arch, o.classes);
  network->initialize(0);
  layers::apply_method(*network, o.method);
  const DType dtype = o.dtype == "bf16" ? DType::bf16 : DType::f32;
  network->to(device);
  network->to(dtype);
  network->seal_frozen();
  const int size = o.size > 0 ? o.size : network->default_size();
  const double flop = forward_flop(*network, size) * o.batch;
  const Tensor x = random_images(o.batch, size, dtype).to(device);
  std::vector<std::int64_t> label(static_cast<std::size_t>(o.batch));
  for (std::size_t i = 0; i < label.size(); ++i) label[i] = static_cast<std::int64_t>(i) % o.classes;
  const Tensor labels = tensor({o.batch}, std::span<const std::int64_t>(label), device);

  network->train(o.mode == "train");
  optim::Adam adam(network->trained_parameters());
  adam.penalise(layers::regularised(*network).trained, NormKind::l2, 1e-5);
  const Tensor one = ones({}, DType::f32, device);
  const auto compute = [&] {
    const Tensor loss = ops::cross_entropy((*network)(x), labels);
    adam.norms();
    backward(loss, one);
    adam.finish_step();
  };
  // On a GPU a training step is replayed from a graph, as in `clr train`.
  const bool captures = !device.is_host() && gpu::captures_steps() && !kernels_watched();
  std::unique_ptr<gpu::Graph> graph;
  const auto step = [&] {
    if (o.mode == "infer") {
      const NoGrad no_grad;
      (*network)(x);
      return;
    }
    adam.zero_grad();
    adam.begin_step();
    if (graph) return graph->replay();
    compute();
  };
  if (o.mode == "train" && captures) {
    const gpu::StepMemory memory;
    step();
    adam.zero_grad();
    auto captured = std::make_unique<gpu::Graph>(device.index);
    compute();
    captured->finish();
    graph = std::move(captured);
  }

  std::vector<double> seconds;
  for (int i = 0; i < o.warmup; ++i) step();
  finish(device);
  reset_peak_memory(device);
  const std::int64_t launched = gpu::launches();
  for (int i = 0; i < o.steps; ++i) {
    const double start = seconds_now();
    step();
    finish(device);
    seconds.push_back(seconds_now() - start);
  }
  const std::int64_t launches = (gpu::launches() - launched) / std::max(o.steps, 1);
  std::sort(seconds.begin(), seconds.end());
  const double median = seconds[seconds.size() / 2];
  const std::size_t peak = memory_stats(device).peak, resident = peak_resident_bytes();
  const Machine machine = !o.limits ? Machine{} : device.is_host() ? measure_machine() : measure_gpu(device);
  // With frozen convolutions, backward has as many operations as forward.
  const double total = o.mode == "train" ? 2 * flop : flop;
  if (o.json) {
    fmt::print(
        "{{\"arch\": \"{}\", \"method\": \"{}\", \"mode\": \"{}\", \"batch\": {}, \"size\": {}, \"seconds\": "
        "{:.6f}, \"fastest_seconds\": {:.6f}, "
        "\"images_per_second\": {:.3f}, \"peak_bytes\": {}, \"resident_bytes\": {}, \"gflops\": {:.1f}, "
        "\"machine_gflops\": {:.1f}, "
        "\"machine_gbs\": {:.2f}, \"launches\": {}}}\n",
        o.arch, o.method, o.mode, o.batch, size, median, seconds.front(), o.batch / median, peak, resident,
        total / median * 1e-9, machine.flops * 1e-9, machine.bytes * 1e-9, launches);
    return 0;
  }
  fmt::print("{} {} {} at {}x{}, batch {}, {}\n", o.arch, o.method, o.mode, size, size, o.batch,
             device.is_host() ? fmt::format("{} threads, {}", thread_count(),
                                            kernels::cpu::name_of(kernels::cpu::cpu_isa()))
                              : gpu::describe(device.index) + (gpu::tf32() ? ", TF32" : ""));
  fmt::print(
      "  {:.1f} ms a step (fastest {:.1f}), {:.1f} images/s, peak memory {:.0f} MiB of tensors, {:.0f} MiB "
      "of the "
      "process\n",
      median * 1e3, seconds.front() * 1e3, o.batch / median, static_cast<double>(peak) / (1 << 20),
      static_cast<double>(resident) / (1 << 20));
  if (!device.is_host()) fmt::print("  {} launches a step (kernels and library calls)\n", launches);
  if (!o.limits) return 0;
  fmt::print(
      "  {:.1f} GFLOP a step at {:.1f} GFLOP/s: {:.0f} % of this machine's measured {:.0f}; memory {:.1f} "
      "GB/s\n",
      total * 1e-9, total / median * 1e-9, 100 * total / median / machine.flops, machine.flops * 1e-9,
      machine.bytes * 1e-9);
  return 0;
}
