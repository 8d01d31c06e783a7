// What a part of the audit will cost, said before it begins.
#pragma once

#include <string>

#include "apps/clr/commands/common.h"

namespace reprise::clr {

// "cost: ..." on standard error, unless --quiet.
void tell_cost(const Common& common, const std::string& what);
// Seconds that ref takes in double for so many floating-point operations, from timing a small convolution
// now.
double seconds_on_ref(double flops);

}  // namespace reprise::clr
