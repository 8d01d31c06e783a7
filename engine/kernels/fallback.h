// Fallbacks: a slower kernel runs in place of the intended one. They are counted by name, and a
// process that had any lists them when it ends.
#pragma once

#include <string>

#include "engine/base/export.h"

namespace reprise {

// Counts a fallback. `what` names the kernel, the reason and what runs instead.
// Throws Error in strict mode.
void count_fallback(const std::string& what);
// Returns a line for each name, "  12 x conv2d_fwd f64: ...", most frequent first; empty without fallbacks.
REPRISE_API std::string fallback_report();

}  // namespace reprise
