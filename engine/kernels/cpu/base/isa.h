// The instruction set that the cpu backend uses, and the macros that select its leaf functions.
#pragma once

#include <cstdint>
#include <string_view>
#include <type_traits>

#include "engine/base/export.h"
#include "engine/core/dtype.h"

namespace reprise::kernels::cpu {

// The instruction sets, from the lowest to the highest.
//   avx512bf16  converts and multiplies bf16 by AVX512_BF16, AVX512_VBMI; the same bits as avx512
//   amx         multiplies bf16 in tiles, which sum in another order (conv/bf16_order.h)
enum class Isa : std::uint8_t { portable, avx2, avx512, avx512bf16, amx };

// Returns the highest instruction set that the build has, the machine runs and REPRISE_CPU_ISA
// allows. It is chosen at the first call. Throws Error if REPRISE_CPU_ISA is none of the names.
REPRISE_API Isa cpu_isa();
// Returns the name, spelled as in REPRISE_CPU_ISA.
REPRISE_API std::string_view name_of(Isa isa);

inline constexpr int line_words = 16;  // floats, or pairs of bf16, in a cache line

}  // namespace reprise::kernels::cpu

// Every file in leaf/ is compiled once per instruction set, each time in a namespace of
// its own, and defines a constant table of function pointers there. These macros
// declare the tables, and a function name() that returns the one for cpu_isa().
//   REPRISE_LEAF(Table, name)                 avx512bf16 and amx use avx512's table
//   REPRISE_LEAF_BEST(Table, name, best)      avx512bf16 and amx use the table of namespace `best`
//   REPRISE_LEAF_TOP(Table, name, best, top)  avx512bf16 uses the table of `best`, amx of `top`
//   REPRISE_LEAF_OF(Table, name)              a table for each storage type T; name<T>() returns it
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
