// The facts about the program and the machine that decide a
// result's bits, or may explain a difference.
#pragma once

#include <string>

#include "apps/clr/learn/run_record.h"
#include "engine/core/device.h"
#include "engine/core/dtype.h"

namespace reprise::clr {

// Returns whether frozen 3x3 convolutions run in Winograd's form
// on the device: "on" or "off"; "-" on ref and cuda.
std::string winograd_state(Device device);
// Returns the order in which bf16 convolutions sum:
// "pairs" or "blocks"; "-" in another dtype or on ref and cuda.
std::string bf16_order_state(Device device, DType dtype);
// Returns the instruction-set level that decides the bits of the device's results:
// "portable", "avx2" or "avx512"; "-" on ref and cuda. The levels avx512bf16 and amx count as
// "avx512", because they give its bits if the order of sums (bf16_order_state) is the same.
std::string instruction_set(Device device);

// Returns all these facts, with version, compiler, threads, TF32 and image decoders, for run.json.
Invocation invocation_on(Device device, DType dtype);

}  // namespace reprise::clr
