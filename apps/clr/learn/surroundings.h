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

// Checks that this process gives the bits of the call that began the run folder. Where it can by a
// lower instruction set or another bf16 order, says so and starts the program anew with these: a
// kernel of this process may have run already. Throws Error where it cannot.
void keep_level(const std::string& run, const Invocation& begun, const Invocation& here);

// Returns all these facts, with version, compiler, threads, TF32, image
// decoders, and who computes: machine, batch job and process.
Invocation invocation_on(Device device, DType dtype);

}  // namespace reprise::clr
