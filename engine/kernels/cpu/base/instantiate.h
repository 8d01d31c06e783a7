// Kernels of this backend are written for a storage type T: float, or BFloat16, whose values are computed in
// f32 and rounded once, when stored. Filters, statistics and parameters are f32 beside both.
#pragma once

#include "engine/core/dtype.h"

// Makes a kernel's two forms.
#define REPRISE_CPU_KERNEL(name)              \
  template decltype(name<float>) name<float>; \
  template decltype(name<BFloat16>) name<BFloat16>
