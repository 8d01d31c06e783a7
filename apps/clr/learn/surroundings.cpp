#include "apps/clr/learn/surroundings.h"

#include <algorithm>

#include "data/image/image.h"
#include "engine/base/gpu.h"
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

Invocation invocation_on(Device device, DType dtype) {
  Invocation i;
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
