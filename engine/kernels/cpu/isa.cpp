#include "engine/kernels/cpu/isa.h"

#include "engine/core/check.h"
#include "engine/core/env.h"

namespace reprise::kernels::cpu {
namespace {

Isa choose() {
  const std::string cap = env_string("REPRISE_CPU_ISA");
  REPRISE_CHECK(cap == "portable" || cap == "avx2" || cap == "avx512",
                "REPRISE_CPU_ISA: expected portable, avx2 or avx512, got '{}'", cap);
  Isa best = Isa::portable;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) best = Isa::avx2;
  if (best == Isa::avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    best = Isa::avx512;
#endif
  const Isa allowed = cap == "avx512" ? Isa::avx512 : cap == "avx2" ? Isa::avx2 : Isa::portable;
  return best < allowed ? best : allowed;
}

}  // namespace

Isa cpu_isa() {
  static const Isa isa = choose();
  return isa;
}

std::string_view name_of(Isa isa) {
  switch (isa) {
    case Isa::portable:
      return "portable";
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
  }
  return "?";
}

}  // namespace reprise::kernels::cpu
