// Measures how far every kernel is from ref in double, call by call on the same inputs.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "engine/kernels/probe.h"

namespace reprise::clr {

// The errors of all calls of one kernel on one device, dtype and instruction set.
struct KernelErrors {
  std::string name, ran_on;  // ran_on: "cpu f32 avx2"
  std::int64_t calls = 0, values = 0;
  // In units in the last place of the reference's element;
  // an element whose reference is 0 is left out.
  double largest_ulps = 0, sum_ulps = 0;
  double relative = 0;  // the largest error divided by the largest value of the same output
  double share = 0;     // the largest relative error divided by kernel_allowance(dtype)
};

// Collects the errors of every kernel call in this process while it is set as the probe.
class ErrorProbe : public KernelProbe {
 public:
  bool wants_reference() const override { return true; }
  void after(const KernelCall& call) override;
  std::map<std::pair<std::string, std::string>, KernelErrors> kernels;  // by {name, ran_on}
};

}  // namespace reprise::clr
