// Runs a case on a device, and checks its gradients in double.
#pragma once

#include <string>
#include <vector>

#include "engine/autograd/gradcheck.h"
#include "engine/cases/cases.h"

namespace reprise::cases {

// The device and dtype of a run.
struct Target {
  Device device;
  DType dtype;
};
// Returns copies of the case's inputs there, so that an op in place leaves the case unchanged.
Inputs inputs_on(const Case& c, const Target& target);

struct Result {
  std::string name;  // "result 0", "gradient of x"
  Tensor value;
};
// Runs the op, and backward from a fixed gradient if an input wants one.
// Returns all results, then all gradients.
std::vector<Result> run_case(const Case& c, const Target& target);

// Returns how many numbers the case's inputs hold, which tells roughly how long it takes.
std::int64_t size_of(const Case& c);
inline constexpr std::int64_t size_for_differences = 6000;  // up to here a check takes milliseconds
// Compares backward with differences in at most `elements` elements of each input.
// Passes if the case has no gradient to check in this way.
GradCheckResult check_gradients(const Case& c, std::int64_t elements);

}  // namespace reprise::cases
