// Kernels are templates over the storage type T of images, float or BFloat16. They compute
// in f32 and round once, when they store. Filters, statistics and parameters are always f32.
#pragma once

#include "engine/core/dtype.h"

// Instantiates a kernel for both storage types.
#define REPRISE_CPU_KERNEL(name)              \
  template decltype(name<float>) name<float>; \
  template decltype(name<BFloat16>) name<BFloat16>
