// The rows of the one table: each line of kernels.def becomes a constant `name` with a pointer to
// every function that the line lists. table.cpp defines them, so that a new line compiles them once.
#pragma once

#include "engine/base/export.h"
#include "engine/core/device.h"
#include "engine/core/dtype.h"
#include "engine/kernels/args.h"
#include "engine/kernels/block.h"

namespace reprise::kernels {

template <class Signature>
struct Kernel;
template <class... A>
struct Kernel<void(A...)> {
  using Function = void (*)(A...);
  const char* name;
  const char* signature;  // the arguments as kernels.def has them, for the operands' names
  Function function[device_kind_count][dtype_count];  // null where the backend has no such kernel
};

#define KERNEL(name_, REF, CPU, CUDA, SIGNATURE) REPRISE_API extern const Kernel<void SIGNATURE> name_;
#include "engine/kernels/kernels.def"
#undef KERNEL

}  // namespace reprise::kernels
