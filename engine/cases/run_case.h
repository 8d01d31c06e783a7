// Runs a case on a device, and checks its gradients in double.
#pragma once

#include <string>
#include <vector>

#include "engine/autograd/gradcheck.h"
#include "engine/cases/cases.h"

namespace reprise::cases {

// Where and in what a case runs.
struct Target {
  Device device;
  DType dtype;
};
// Returns copies of the case's inputs there: an op that works in place leaves the case as it is.
Inputs inputs_on(const Case& c, const Target& target);

struct Result {
  std::string name;  // "result 0", "gradient of x"
  Tensor value;
};
// Runs forward, and backward with a fixed seed where an input wants a gradient. Returns all results, then all
// gradients.
std::vector<Result> run_case(const Case& c, const Target& target);

// True of a case whose gradients are checked in milliseconds: differences are slow.
bool is_small(const Case& c);
// Compares backward with differences in at most `elements` elements of each input. Passes where the case has
// no gradient to check so.
GradCheckResult check_gradients(const Case& c, std::int64_t elements);

}  // namespace reprise::cases
