// What this machine can do at most, measured: the denominators of every fraction that benchmarks and the
// kernel table print.
#pragma once

#include "engine/base/export.h"

namespace reprise {

struct Machine {
  // f32 multiply-adds of the chosen instruction set on all threads, two operations each, per second.
  double flops = 0;
  // a[i] = b[i] + s * c[i] over arrays far larger than the caches, bytes per second (12 a step).
  double bytes = 0;
};
// Takes about a fifth of a second, and 192 MiB meanwhile.
REPRISE_API Machine measure_machine();

// Of a clock that only goes forward.
REPRISE_API double seconds_now();

}  // namespace reprise
