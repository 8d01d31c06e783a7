// Checks gradients: compares those of backward() with central differences, in double on ref.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine/core/tensor.h"

namespace reprise {

struct GradCheckOptions {
  double step = 1e-5;                   // each element is moved by +step and by -step
  double tolerance = 1e-6;              // allowed error / max(the input's largest gradient, 0.01)
  std::int64_t max_elements = 64;       // checked per input; a larger input is sampled
  std::vector<std::string> names = {};  // the inputs' names in the report; "input 0" where there is none
};

struct GradCheckResult {
  bool passed = false;
  double worst = 0;    // the largest error / the allowed error
  std::string report;  // one line per input: its worst element with both gradients; "WRONG" begins a failure
  int kinks = 0;       // elements that agree only on one side or with a smaller step
};

// Checks f's gradient for every input marked with set_requires_grad. Calls f twice for each checked
// element. Weights f's result with fixed random numbers, so that errors do not cancel. Works on copies
// of the inputs. Throws Error if no input is marked, or a marked input is not f64 on ref.
// A difference across a kink (ReLU, a maximum) is no derivative. An element that disagrees is checked
// again with steps of a tenth and a hundredth. It passes if it agrees then, or if f has two slopes at
// the element itself and backward's gradient is one of them.
REPRISE_API GradCheckResult check_gradients(const std::function<Tensor(const std::vector<Tensor>&)>& f,
                                            const std::vector<Tensor>& inputs,
                                            const GradCheckOptions& options = {});

}  // namespace reprise
