// How far every kernel is from ref in double, call by call on the same inputs.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "engine/kernels/probe.h"

namespace reprise::clr {

// Of all calls of one kernel in one place ("cpu f32 avx2").
struct KernelErrors {
  std::string name, ran_on;
  std::int64_t calls = 0, values = 0;
  double largest_ulps = 0, sum_ulps = 0;  // of each element's own size; 0 has none
  double relative = 0;                    // largest error over the largest value of its output
  double share = 0;                       // of the allowance
};

class ErrorProbe : public KernelProbe {
 public:
  bool wants_reference() const override { return true; }
  void after(const KernelCall& call) override;
  std::map<std::pair<std::string, std::string>, KernelErrors> kernels;  // by name and place
};

}  // namespace reprise::clr
