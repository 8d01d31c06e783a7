// The parallel loop of the reference kernels, and their instantiation. Private to ref/.
#pragma once

#include <cstdint>

#include "engine/base/parallel.h"
#include "engine/kernels/kernels.h"

namespace reprise::kernels::ref {

// Calls f(i) for each output i in [0,n), in parallel; each call costs about `cost` simple steps.
template <class F>
void each_output(std::int64_t n, std::int64_t cost, F f) {
  const std::int64_t grain = cost >= 4096 ? 1 : 4096 / (cost < 1 ? 1 : cost);
  parallel_for(n, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) f(i);
  });
}

}  // namespace reprise::kernels::ref

// Instantiates a kernel for float and double.
#define REPRISE_REF_KERNEL(name)              \
  template decltype(name<float>) name<float>; \
  template decltype(name<double>) name<double>
