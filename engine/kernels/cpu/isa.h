// Which instruction set the cpu backend uses, and how its leaf functions are found.
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/core/export.h"

namespace reprise::kernels::cpu {

enum class Isa : std::uint8_t { portable, avx2, avx512 };

// The highest that this build has, the machine runs and REPRISE_CPU_ISA allows. Chosen once.
REPRISE_API Isa cpu_isa();
REPRISE_API std::string_view name_of(Isa isa);

}  // namespace reprise::kernels::cpu

// Every file in leaf/ is compiled once per instruction set, in its own namespace, and shows one constant
// table of function pointers there. REPRISE_LEAF(Table, name) declares them all and a function name() that
// picks one.
#if defined(__x86_64__)
#define REPRISE_LEAF(Table, name) \
  namespace isa_portable {        \
  extern const Table name;        \
  }                               \
  namespace isa_avx2 {            \
  extern const Table name;        \
  }                               \
  namespace isa_avx512 {          \
  extern const Table name;        \
  }                               \
  inline const Table& name() {    \
    switch (cpu_isa()) {          \
      case Isa::avx512:           \
        return isa_avx512::name;  \
      case Isa::avx2:             \
        return isa_avx2::name;    \
      case Isa::portable:         \
        break;                    \
    }                             \
    return isa_portable::name;    \
  }
#else
#define REPRISE_LEAF(Table, name) \
  namespace isa_portable {        \
  extern const Table name;        \
  }                               \
  inline const Table& name() {    \
    return isa_portable::name;    \
  }
#endif
