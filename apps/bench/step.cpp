// Whole steps: a CLR training step and inference on random images, with the fraction of the machine's limit.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <vector>

#include "apps/bench/machine.h"
#include "engine/autograd/autograd.h"
#include "engine/core/parallel.h"
#include "engine/core/random.h"
#include "engine/core/storage.h"
#include "engine/ops/ops.h"
#include "layers/layers.h"
#include "optim/optimizer.h"
#include "optim/penalties.h"

using namespace reprise;

namespace {

struct Options {
  std::string arch = "resnet18", method = "clr", mode = "train";
  int size = 0, batch = 32, steps = 5, warmup = 2, classes = 100;
  bool json = false;
};

Tensor random_images(int batch, int size) {
  Tensor images = empty({batch, size, size, 3}, DType::u8);
  RandomStream stream(0, "bench/images");
  auto* p = images.mutable_data<std::uint8_t>();
  for (std::int64_t i = 0; i < images.numel(); ++i) p[i] = static_cast<std::uint8_t>(stream.bits());
  return ops::normalize_images(images);
}

// Multiply-adds of the convolutions and the head for one image, twice; from the layer table.
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
  app.add_flag("--json", o.json);
  CLI11_PARSE(app, argc, argv);

  const auto network = layers::make_network(o.arch, o.classes);
  network->initialize(0);
  layers::apply_method(*network, o.method);
  network->seal_frozen();
  const int size = o.size > 0 ? o.size : network->default_size();
  const double flop = forward_flop(*network, size) * o.batch;
  const Tensor x = random_images(o.batch, size);
  std::vector<std::int64_t> label(static_cast<std::size_t>(o.batch));
  for (std::size_t i = 0; i < label.size(); ++i) label[i] = static_cast<std::int64_t>(i) % o.classes;
  const Tensor labels = tensor({o.batch}, std::span<const std::int64_t>(label));

  network->train(o.mode == "train");
  optim::Adam adam(network->trained_parameters());
  const auto regularised = layers::regularised(*network).trained;
  const auto step = [&] {
    if (o.mode == "infer") {
      const NoGrad no_grad;
      (*network)(x);
      return;
    }
    const Tensor loss =
        ops::cross_entropy((*network)(x), labels) + 1e-5 * optim::penalty(regularised, NormKind::l2);
    adam.zero_grad();
    backward(loss);
    adam.step();
  };

  std::vector<double> seconds;
  for (int i = 0; i < o.warmup; ++i) step();
  reset_peak_memory();
  for (int i = 0; i < o.steps; ++i) {
    const double start = bench::seconds_now();
    step();
    seconds.push_back(bench::seconds_now() - start);
  }
  std::sort(seconds.begin(), seconds.end());
  const double median = seconds[seconds.size() / 2];
  const bench::Machine machine = bench::measure_machine();
  // A step with frozen convolutions is a forward and a gradient of as many operations.
  const double total = o.mode == "train" ? 2 * flop : flop;
  if (o.json) {
    fmt::print(
        "{{\"arch\": \"{}\", \"method\": \"{}\", \"mode\": \"{}\", \"batch\": {}, \"size\": {}, \"seconds\": "
        "{:.6f}, "
        "\"images_per_second\": {:.3f}, \"peak_bytes\": {}, \"gflops\": {:.1f}, \"machine_gflops\": {:.1f}, "
        "\"machine_gbs\": {:.2f}}}\n",
        o.arch, o.method, o.mode, o.batch, size, median, o.batch / median, memory_stats().peak,
        total / median * 1e-9, machine.flops * 1e-9, machine.bytes * 1e-9);
    return 0;
  }
  fmt::print("{} {} {} at {}x{}, batch {}, {} threads, {}\n", o.arch, o.method, o.mode, size, size, o.batch,
             thread_count(), kernels::cpu::name_of(kernels::cpu::cpu_isa()));
  fmt::print("  {:.1f} ms a step (fastest {:.1f}), {:.1f} images/s, peak memory {:.0f} MiB\n", median * 1e3,
             seconds.front() * 1e3, o.batch / median, static_cast<double>(memory_stats().peak) / (1 << 20));
  fmt::print(
      "  {:.1f} GFLOP a step at {:.1f} GFLOP/s: {:.0f} % of this machine's measured {:.0f}; memory {:.1f} "
      "GB/s\n",
      total * 1e-9, total / median * 1e-9, 100 * total / median / machine.flops, machine.flops * 1e-9,
      machine.bytes * 1e-9);
  return 0;
}
