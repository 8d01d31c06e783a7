// Estimates what a part of the audit will cost, before it begins.
#pragma once

#include <string>

#include "apps/clr/commands/common.h"
#include "layers/network.h"

namespace reprise::clr {

// Prints "cost: <what>" on standard error, unless --quiet.
void tell_cost(const Common& common, const std::string& what);
// Estimates the seconds that ref takes in double for so
// many operations, by timing a small convolution.
double seconds_on_ref(double flops);
// Returns the floating-point operations of a forward pass for one image of size x size pixels.
double flops_of_image(layers::Network& network, int size);

}  // namespace reprise::clr
