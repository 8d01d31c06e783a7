// Is a gradient right? Compares what backward says with central differences, in double on the reference.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine/core/tensor.h"

namespace reprise {

struct GradCheckOptions {
  double step = 1e-5;              // each element moves by +-step
  double tolerance = 1e-6;         // of the input's largest gradient (taken as 0.01 where all are smaller)
  std::int64_t max_elements = 64;  // per input; of a larger one so many are drawn
};

struct GradCheckResult {
  bool passed = false;
  double worst = 0;    // the largest error as a fraction of what is allowed
  std::string report;  // a line per input: its worst element and the numbers there
};

// Checks f's gradient for every input that is marked with set_requires_grad. The inputs must be f64 on ref
// (others that are not marked may be of any dtype) and are not changed. f's result is weighed with fixed
// random numbers, so that errors do not cancel.
REPRISE_API GradCheckResult check_gradients(const std::function<Tensor(const std::vector<Tensor>&)>& f,
                                            const std::vector<Tensor>& inputs,
                                            const GradCheckOptions& options = {});

}  // namespace reprise
