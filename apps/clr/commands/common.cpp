#include "apps/clr/commands/common.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "apps/clr/learn/shard.h"
#include "apps/clr/learn/surroundings.h"
#include "engine/base/check.h"
#include "engine/base/gpu.h"
#include "engine/base/log.h"
#include "engine/base/parallel.h"
#include "engine/base/utf8.h"
#include "engine/core/tensor.h"
#include "engine/kernels/cpu/conv/bf16_order.h"
#include "engine/kernels/cpu/conv/winograd.h"
#include "engine/kernels/profile.h"
#include "engine/ops/unary.h"

namespace reprise::clr {
namespace {

// Returns why the device cannot be used, as on a machine or
// in a build without a GPU; empty if it can.
std::string why_not(Device device) {
  try {
    empty({1}, DType::f32, device);
    return {};
  } catch (const Error& e) {
    return e.what();
  }
}

DType named_dtype(const std::string& text) {
  for (const DType d : {DType::f32, DType::bf16, DType::f64})
    if (text == name_of(d)) return d;
  throw UsageError(fmt::format("--dtype: expected f32, bf16 or f64, got '{}'", text));
}

// CLI11 would take "-1" for a large number.
std::string not_a_seed(const std::string& text) {
  const bool digits = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
  return digits ? "" : fmt::format("expected a whole number from 0, got '{}'", text);
}

// Returns the GPU of this process: the launcher's processes on one machine take one GPU each.
Device own_gpu() {
  return {Device::Kind::cuda, local_rank() % std::max(1, gpu::count())};
}

}  // namespace

Device Common::resolved_device() const {
  const bool wants_f64 = named_dtype(dtype) == DType::f64;
  if (device.empty()) {
    if (wants_f64) return ref_device;
    return why_not(own_gpu()).empty() ? own_gpu() : cpu_device;
  }
  Device chosen;
  try {
    chosen = device == "cuda" ? own_gpu() : parse_device(device);
  } catch (const Error& e) {
    throw UsageError(fmt::format("--device: {}", e.what()));
  }
  if (wants_f64 && chosen != ref_device)
    throw UsageError(fmt::format("--dtype f64 computes only on ref, not on --device {}", device));
  const std::string reason = why_not(chosen);
  REPRISE_CHECK(reason.empty(), "--device {} cannot be used\n  {}", device, reason);
  return chosen;
}

DType Common::resolved_dtype() const {
  const DType chosen = named_dtype(dtype);
  const Device on = resolved_device();
  detail::profiling();  // a REPRISE_TRACE that cannot be written is an error of its own
  try {
    ops::relu(zeros({1}, chosen, on));
  } catch (const Error&) {
    throw_error("--dtype {}: in this build {} cannot compute in this dtype", dtype, to_string(on));
  }
  return chosen;
}

WeightSource Common::weights(const std::string& path, const std::string& identity) const {
  WeightSource source = path;
  source.section = section;
  source.prefix = prefix;
  source.identity = identity;
  return source;
}

void Common::begin() const {
  set_thread_count(threads);
  if (tf32) gpu::set_tf32(true);
  if (!bf16_order.empty())
    kernels::cpu::set_bf16_order(bf16_order == "blocks" ? kernels::cpu::Bf16Order::blocks
                                                        : kernels::cpu::Bf16Order::pairs);
  if (!winograd.empty()) kernels::cpu::set_winograd(winograd == "on");
  const Device on = resolved_device();
  const DType in = resolved_dtype();
  if (quiet) return;
  const bool is_gpu = on.kind == Device::Kind::cuda;
  const std::string order = bf16_order_state(on, in);
  log_line(fmt::format("device {}{}, dtype {}{}, instruction set {}{}, {} thread{}", to_string(on),
                       is_gpu ? " (" + gpu::describe(on.index) + ")" : "", name_of(in),
                       is_gpu && gpu::tf32() ? " (products in TF32)" : "", instruction_set(on),
                       order != "-" ? fmt::format(" (bf16 in {})", order) : "", thread_count(),
                       thread_count() == 1 ? "" : "s"));
}

Command add_command(Command app, Common& common, const std::string& name, const std::string& what) {
  const Command c = app.add_subcommand(name, what);
  const auto option = [&](const char* words, auto& value, const char* help) {
    return c.add_option(words, value, help).group("Common options");
  };
  const auto flag = [&](const char* words, bool& value, const char* help) {
    c.add_flag(words, value, help).group("Common options");
  };
  option("--device", common.device, "ref, cpu or cuda[:N] (default: cuda where one works, else cpu)");
  option("--dtype", common.dtype, "f32, bf16 or f64; f64 implies ref (default: f32)");
  option("--threads", common.threads,
         "number of threads (default: REPRISE_THREADS, or what the machine allows)")
      .range(1, most_threads);
  option("--seed", common.seed, "seed of every random stream (default: 0)").check(not_a_seed);
  flag("--tf32", common.tf32,
       "on cuda, round the operands of f32 products to TF32: faster, with other results");
  option("--winograd", common.winograd,
         "on or off: whether 3x3 convolutions with frozen filters use Winograd's form on cpu (default: on)")
      .one_of({"on", "off"});
  option(
      "--bf16-order", common.bf16_order,
      "pairs or blocks: the order of sums in bf16 convolutions on cpu (default: blocks with AMX, else pairs)")
      .one_of({"pairs", "blocks"});
  flag("--quiet", common.quiet, "no progress on standard error");
  flag("--json", common.json, "one JSON object on standard output instead of tables");
  return c;
}

void add_weight_options(Command c, Common& common) {
  c.add_option("--section", common.section,
               "the keys of the weight file that lead to the state dict, such as model_ema (default: the one "
               "that fits a network best)");
  c.add_option("--prefix", common.prefix,
               "what the network's names begin with in the weight file, such as module.encoder_q. (default: "
               "the one that fits)");
}

void print(std::string_view text) {
  const std::string printed = escaped(text, keep_lines);
  const bool written = std::fwrite(printed.data(), 1, printed.size(), stdout) == printed.size();
  REPRISE_CHECK(written && std::fflush(stdout) == 0, "standard output: could not write");
}

void print_json(const Json& json) {
  print(escaped_json(json).dump(2) + "\n");
}

std::vector<std::string> arguments_of_process() {
  std::ifstream in("/proc/self/cmdline", std::ios::binary);
  std::vector<std::string> arguments;
  for (std::string argument; std::getline(in, argument, '\0');) arguments.push_back(argument);
  return arguments;
}

}  // namespace reprise::clr
