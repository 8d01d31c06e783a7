// Checks gradients: compares those of backward() with central differences, in double on ref.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine/core/tensor.h"

namespace reprise {

struct GradCheckOptions {
  double step = 1e-5;              // each element is moved by +step and by -step
  double tolerance = 1e-6;         // allowed error / max(the input's largest gradient, 0.01)
  std::int64_t max_elements = 64;  // checked per input; a larger input is sampled
};

struct GradCheckResult {
  bool passed = false;
  double worst = 0;    // the largest error / the allowed error
  std::string report;  // one line per input: its worst element with both gradients
};

// Checks f's gradient for every input marked with set_requires_grad. Calls f twice for each checked
// element. Weights f's result with fixed random numbers, so that errors do not cancel. Works on
// copies of the inputs. Throws Error if no input is marked, or a marked input is not f64 on ref.
REPRISE_API GradCheckResult check_gradients(const std::function<Tensor(const std::vector<Tensor>&)>& f,
                                            const std::vector<Tensor>& inputs,
                                            const GradCheckOptions& options = {});

}  // namespace reprise
