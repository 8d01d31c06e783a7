#include "apps/clr/learn/surroundings.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <tuple>

#include "data/image/image.h"
#include "data/io/file.h"
#include "engine/base/check.h"
#include "engine/base/gpu.h"
#include "engine/base/log.h"
#include "engine/base/parallel.h"
#include "engine/kernels/cpu/base/isa.h"
#include "engine/kernels/cpu/conv/bf16_order.h"
#include "engine/kernels/cpu/conv/winograd.h"

namespace reprise::clr {

namespace {

#if defined(__clang__)
constexpr const char* compiler = "Clang " __clang_version__;
#elif defined(__GNUC__)
constexpr const char* compiler = "GCC " __VERSION__;
#else
constexpr const char* compiler = "unknown";
#endif

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string batch_job() {
  return variable("SLURM_JOB_ID") + variable("PBS_JOBID") + variable("LSB_JOBID");
}

}  // namespace

std::string winograd_state(Device device) {
  if (device.kind != Device::Kind::cpu) return "-";
  return kernels::cpu::winograd_enabled() ? "on" : "off";
}

std::string bf16_order_state(Device device, DType dtype) {
  if (device.kind != Device::Kind::cpu || dtype != DType::bf16) return "-";
  return std::string(name_of(kernels::cpu::bf16_order()));
}

std::string instruction_set(Device device) {
  if (device.kind != Device::Kind::cpu) return "-";
  return std::string(name_of(std::min(kernels::cpu::cpu_isa(), kernels::cpu::Isa::avx512)));
}

void keep_level(const std::string& run, const Invocation& begun, const Invocation& here) {
  for (const auto& [name, fact, setting, remedy] :
       {std::tuple("instruction set", &Invocation::instruction_set, "REPRISE_CPU_ISA",
                   "machines that have it"),
        {"bf16 order", &Invocation::bf16_order, "REPRISE_BF16_ORDER", "the same --bf16-order"},
        {"winograd", &Invocation::winograd, "", "the same --winograd"}}) {
    const std::string &then = begun.*fact, &now = here.*fact;
    if (then.empty() || then == now) continue;
    const std::string_view sets = "portable avx2 avx512";
    const bool higher = fact == &Invocation::instruction_set && sets.find(then) > sets.find(now);
    if (*setting != 0 && !higher && variable(setting) != then && !here.argv.empty()) {
      log_line(fmt::format("clr: {}: begun with the {} {}, so this process takes it too", run, name, then));
      ::setenv(setting, then.c_str(), 1);
      std::vector<char*> arguments;
      for (const std::string& a : here.argv) arguments.push_back(const_cast<char*>(a.c_str()));
      arguments.push_back(nullptr);
      ::execv("/proc/self/exe", arguments.data());
    }
    throw_error(
        "{}: begun with another {}, which gives other bits\n  run     {}\n  now     {}\nTake {}, or "
        "another --run, or start anew with --restart",
        run, name, then, now, remedy);
  }
}

Invocation invocation_on(Device device, DType dtype) {
  Invocation i;
  i.host = data::host_name();
  i.job = batch_job();
  i.pid = ::getpid();
  i.version = REPRISE_VERSION;
  i.compiler = compiler;
  i.flags = REPRISE_BUILD_FLAGS;
  while (i.flags.ends_with(' ')) i.flags.pop_back();
  i.device = to_string(device);
  i.instruction_set = instruction_set(device);
  i.winograd = winograd_state(device);
  i.bf16_order = bf16_order_state(device, dtype);
  i.tf32 = gpu::tf32();
  i.threads = thread_count();
  i.decoders = data::decoder_versions();
  return i;
}

}  // namespace reprise::clr
