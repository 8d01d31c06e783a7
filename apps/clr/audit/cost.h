// What a part of the audit will cost, said before it begins.
#pragma once

#include <string>

#include "apps/clr/commands/common.h"
#include "layers/network.h"

namespace reprise::clr {

// "cost: ..." on standard error, unless --quiet.
void tell_cost(const Common& common, const std::string& what);
// Seconds that ref takes in double for so many operations, estimated by timing a small convolution.
double seconds_on_ref(double flops);
// Floating-point operations that one image of that size takes forward.
double flops_of_image(layers::Network& network, int size);

}  // namespace reprise::clr
