// What of the program and the machine decides a result's bits, or may explain a difference.
#pragma once

#include <string>

#include "apps/clr/learn/run_record.h"
#include "engine/core/device.h"
#include "engine/core/dtype.h"

namespace reprise::clr {

// Whether frozen 3x3 convolutions run in Winograd's form there: "on", "off"; "-" where there is no such form.
std::string winograd_state(Device device);
// How bf16 convolutions sum there: "pairs" or "blocks"; "-" in another dtype or on ref and cuda.
std::string bf16_order_state(Device device, DType dtype);
// The instruction set whose bits the device's results have: "avx2"; for ref and cuda "-". (avx512bf16 and amx
// have those of avx512 in the same order.)
std::string instruction_set(Device device);

// All of it, and threads, TF32 and image decoders, as a run's record has it.
Invocation invocation_on(Device device, DType dtype);

}  // namespace reprise::clr
