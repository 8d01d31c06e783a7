#include "engine/kernels/cpu/base/isa.h"

#include "engine/base/check.h"
#include "engine/base/env.h"

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace reprise::kernels::cpu {
namespace {

#if defined(__x86_64__)
// Returns whether the machine has AMX and Linux lets this process use it. A thread's saved state
// has no room for the 8 KiB of tiles by default; Linux adds it on request, if it knows AMX.
bool has_amx() {
#if defined(__linux__)
  unsigned a = 0, b = 0, c = 0, d = 0;
  constexpr unsigned amx_bf16 = 1U << 22, amx_tile = 1U << 24;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (~d & (amx_bf16 | amx_tile)) != 0) return false;
  constexpr long request_permission = 0x1023, tile_data = 18;  // ARCH_REQ_XCOMP_PERM in <asm/prctl.h>
  return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
#else
  return false;
#endif
}
#endif

Isa choose() {
  const std::string cap = env_string("REPRISE_CPU_ISA");
  Isa allowed = Isa::portable;
  while (name_of(allowed) != cap) {
    REPRISE_CHECK(allowed != Isa::amx,
                  "REPRISE_CPU_ISA: expected portable, avx2, avx512, avx512bf16 or amx, got '{}'", cap);
    allowed = static_cast<Isa>(static_cast<int>(allowed) + 1);
  }
  Isa best = Isa::portable;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) best = Isa::avx2;
  if (best == Isa::avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    best = Isa::avx512;
  if (best == Isa::avx512 && __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vbmi"))
    best = Isa::avx512bf16;
  if (best == Isa::avx512bf16 && allowed == Isa::amx && has_amx()) best = Isa::amx;
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
    case Isa::amx:
      return "amx";
  }
  return "?";
}

}  // namespace reprise::kernels::cpu
