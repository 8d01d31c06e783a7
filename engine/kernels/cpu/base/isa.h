// Which instruction set the cpu backend uses, and how its leaf functions are found.
#pragma once

#include <cstdint>
#include <string_view>
#include <type_traits>

#include "engine/base/export.h"
#include "engine/core/dtype.h"

namespace reprise::kernels::cpu {

// avx512bf16: as avx512, but bf16 is widened, rounded and multiplied by instructions of its own (AVX512_VBMI
// too), to the same bits.
// amx: as avx512bf16, but bf16 is multiplied in tiles, which sum in another order (bf16_order.h).
enum class Isa : std::uint8_t { portable, avx2, avx512, avx512bf16, amx };

// The highest that this build has, the machine runs and REPRISE_CPU_ISA allows. Chosen once.
REPRISE_API Isa cpu_isa();
REPRISE_API std::string_view name_of(Isa isa);

inline constexpr int line_words = 16;  // floats, or pairs of bf16, of a cache line

}  // namespace reprise::kernels::cpu

// Every file in leaf/ is compiled once per instruction set, in its own namespace, and shows one constant
// table of function pointers there. REPRISE_LEAF(Table, name) declares them all and a function name() that
// picks one; REPRISE_LEAF_BEST names the namespace for avx512bf16, where that has a table of its own, and
// REPRISE_LEAF_TOP that for amx too.
// REPRISE_LEAF_OF(Table, name): a table for each storage type, name_f32 and name_bf16; name<T>() picks.
#if defined(__x86_64__)
#define REPRISE_LEAF_TOP(Table, name, best, top) \
  namespace isa_portable {                       \
  extern const Table name;                       \
  }                                              \
  namespace isa_avx2 {                           \
  extern const Table name;                       \
  }                                              \
  namespace isa_avx512 {                         \
  extern const Table name;                       \
  }                                              \
  namespace best {                               \
  extern const Table name;                       \
  }                                              \
  namespace top {                                \
  extern const Table name;                       \
  }                                              \
  inline const Table& name() {                   \
    switch (cpu_isa()) {                         \
      case Isa::amx:                             \
        return top::name;                        \
      case Isa::avx512bf16:                      \
        return best::name;                       \
      case Isa::avx512:                          \
        return isa_avx512::name;                 \
      case Isa::avx2:                            \
        return isa_avx2::name;                   \
      case Isa::portable:                        \
        break;                                   \
    }                                            \
    return isa_portable::name;                   \
  }
#else
#define REPRISE_LEAF_TOP(Table, name, best, top) \
  namespace isa_portable {                       \
  extern const Table name;                       \
  }                                              \
  inline const Table& name() {                   \
    return isa_portable::name;                   \
  }
#endif
#define REPRISE_LEAF_BEST(Table, name, best) REPRISE_LEAF_TOP(Table, name, best, best)
#define REPRISE_LEAF(Table, name) REPRISE_LEAF_BEST(Table, name, isa_avx512)
#define REPRISE_LEAF_OF(Table, name)                              \
  REPRISE_LEAF(Table<float>, name##_f32)                          \
  REPRISE_LEAF_BEST(Table<BFloat16>, name##_bf16, isa_avx512bf16) \
  template <class T>                                              \
  const Table<T>& name() {                                        \
    if constexpr (std::is_same_v<T, BFloat16>)                    \
      return name##_bf16();                                       \
    else                                                          \
      return name##_f32();                                        \
  }
