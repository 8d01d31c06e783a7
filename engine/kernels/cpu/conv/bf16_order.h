// In which order convolutions sum bf16 on the cpu: it decides bits, so it is chosen once for a process.
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/base/export.h"

namespace reprise::kernels::cpu {

// pairs: one chain of multiply-adds over all channels, of each pair the odd one first, as AVX512_BF16 does
// (leaf/conv_tile.h). blocks: blocks of up to sixteen pairs, as AMX does (leaf/block_tile.h). Both are
// computed on every machine, each fast only where it has the instructions.
enum class Bf16Order : std::uint8_t { pairs, blocks };

// What set_bf16_order said, else REPRISE_BF16_ORDER, else blocks where the instruction set is amx.
REPRISE_API Bf16Order bf16_order();
REPRISE_API void set_bf16_order(Bf16Order order);
REPRISE_API std::string_view name_of(Bf16Order order);

}  // namespace reprise::kernels::cpu
