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
// Runs forward, and backward from a fixed gradient where an input wants a gradient. Returns all results, then all
// gradients.
std::vector<Result> run_case(const Case& c, const Target& target);

// Returns how many numbers the case's inputs hold, which says how long it takes.
std::int64_t size_of(const Case& c);
inline constexpr std::int64_t size_for_differences = 6000;  // up to here they take milliseconds
// Compares backward with differences in at most `elements` elements of each input. Passes where the case has
// no gradient to check so.
GradCheckResult check_gradients(const Case& c, std::int64_t elements);

}  // namespace reprise::cases
