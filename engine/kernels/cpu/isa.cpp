#include "engine/kernels/cpu/isa.h"

#include "engine/core/check.h"
#include "engine/core/env.h"

namespace reprise::kernels::cpu {
namespace {

Isa choose() {
  const std::string cap = env_string("REPRISE_CPU_ISA");
  Isa allowed = Isa::portable;
  while (name_of(allowed) != cap) {
    REPRISE_CHECK(allowed != Isa::avx512bf16,
                  "REPRISE_CPU_ISA: expected portable, avx2, avx512 or avx512bf16, got '{}'", cap);
    allowed = static_cast<Isa>(static_cast<int>(allowed) + 1);
  }
  Isa best = Isa::portable;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) best = Isa::avx2;
  if (best == Isa::avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    best = Isa::avx512;
  if (best == Isa::avx512 && __builtin_cpu_supports("avx512bf16")) best = Isa::avx512bf16;
#endif
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
    case Isa::avx512bf16:
      return "avx512bf16";
  }
  return "?";
}

}  // namespace reprise::kernels::cpu
