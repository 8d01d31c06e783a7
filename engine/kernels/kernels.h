// Declares what kernels.def lists: for each line the functions ref::, cpu:: and cuda::name<T>, and the row
// `name` with a pointer to each that the table claims. A claim that nobody wrote is a link error that names
// it.
#pragma once

#include <cstdint>

#include "engine/core/view.h"
#include "engine/kernels/args.h"
#include "engine/kernels/block.h"

namespace reprise::kernels {

#define KERNEL(name_, REF, CPU, CUDA, SIGNATURE) \
  namespace ref {                                \
  template <class T>                             \
  void name_ SIGNATURE;                          \
  }                                              \
  namespace cpu {                                \
  template <class T>                             \
  void name_ SIGNATURE;                          \
  }                                              \
  namespace cuda {                               \
  template <class T>                             \
  void name_ SIGNATURE;                          \
  }
#include "engine/kernels/kernels.def"
#undef KERNEL

}  // namespace reprise::kernels
