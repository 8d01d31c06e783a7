// The targets on which cases run, and the comparison of their results with ref in double.
#pragma once

#include <string>
#include <vector>

#include "engine/cases/run_case.h"

namespace reprise::testing {

using namespace cases;

std::string to_string(const Target& target);             // such as "cpu f32"
std::vector<Target> targets(const std::string& device);  // those of `device`, or all of this build for ""

struct Comparison {
  bool passed = false;
  double used = 0;     // the largest error divided by its allowance; infinite for an error where 0 is allowed
  std::string report;  // a line per tensor
};
// Compares element by element. The allowed error is `tolerance` times
// the tensor's largest expected value, or times `terms` if that is larger.
// Shapes must be equal, and NaN must be exactly where it is expected.
Comparison compare(const std::vector<Result>& got, const std::vector<Result>& want, double tolerance,
                   double terms = 0);
// Returns the tolerance of a case in that dtype.
double allowance(const Case& c, DType dtype);
// Returns whether the two have the same bits.
bool same_bits(const std::vector<Result>& a, const std::vector<Result>& b);

}  // namespace reprise::testing
