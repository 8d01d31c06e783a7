// The order in which convolutions on the cpu add products of bf16; it decides bits.
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/base/export.h"

namespace reprise::kernels::cpu {

// Every machine computes both orders. Each is fast only where the machine has the instructions.
//   pairs   one chain of multiply-adds over all channels; of each pair of channels the odd one is
//           first, as in AVX512_BF16 (leaf/conv_tile.h)
//   blocks  blocks of up to sixteen pairs are summed, then added, as in AMX (leaf/block_tile.h)
enum class Bf16Order : std::uint8_t { pairs, blocks };

// Returns the order in use. By default it is that of REPRISE_BF16_ORDER; if this is empty, blocks
// where cpu_isa() is amx, else pairs. Throws Error if REPRISE_BF16_ORDER has another value.
REPRISE_API Bf16Order bf16_order();
// Sets the order for this process. Call it while no convolution runs.
REPRISE_API void set_bf16_order(Bf16Order order);
// Returns "pairs" or "blocks".
REPRISE_API std::string_view name_of(Bf16Order order);

}  // namespace reprise::kernels::cpu
