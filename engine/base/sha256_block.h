// The compression function of SHA-256, in plain C++ and with the processor's SHA instructions.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "engine/base/export.h"

namespace reprise::detail {

// Updates the state h with the 64 bytes at p.
using Sha256Block = void (*)(std::array<std::uint32_t, 8>& h, const std::byte* p);

REPRISE_API void sha256_block_plain(std::array<std::uint32_t, 8>& h, const std::byte* p);
// Returns null if this processor or this build has no SHA instructions.
REPRISE_API Sha256Block sha256_block_of_processor();

}  // namespace reprise::detail
