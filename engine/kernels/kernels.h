// Declares the kernels of kernels.def: for each line the functions ref::, cpu:: and cuda::name<T>.
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
