// Where the cases run, and how results are compared with those of ref in double.
#pragma once

#include <string>
#include <vector>

#include "engine/cases/run_case.h"

namespace reprise::testing {

using namespace cases;

std::string to_string(const Target& target);             // "cpu f32"
std::vector<Target> targets(const std::string& device);  // of that name, or all that this build has for ""

struct Comparison {
  bool passed = false;
  double used = 0;     // the largest part of the allowance that was used; infinite where 0 was allowed
  std::string report;  // a line per tensor
};
// Element by element; the allowance is `tolerance` times the largest wanted value of the tensor
// (or times `terms`, where that is larger). Shapes must
// be equal; NaN stands only where NaN is wanted.
Comparison compare(const std::vector<Result>& got, const std::vector<Result>& want, double tolerance,
                   double terms = 0);
// The allowance of a case in that dtype.
double allowance(const Case& c, DType dtype);
// Whether the two have the same bits.
bool same_bits(const std::vector<Result>& a, const std::vector<Result>& b);

}  // namespace reprise::testing
