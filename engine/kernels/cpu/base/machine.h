// Measures what this machine can do at most. Benchmarks and the kernel table print their results as
// fractions of these limits.
#pragma once

#include "engine/base/export.h"

namespace reprise {

struct Machine {
  // f32 operations per second, two for a multiply-add: all threads, the chosen instruction set.
  double flops = 0;
  // Bytes per second, 12 for each a[i] = b[i] + s * c[i], in arrays far larger than the caches.
  double bytes = 0;
};
// Measures both limits. Takes about a fifth of a second, and 192 MiB of memory until it returns.
REPRISE_API Machine measure_machine();

// Returns the time in seconds on a clock that never goes back; its zero means nothing.
REPRISE_API double seconds_now();

}  // namespace reprise
