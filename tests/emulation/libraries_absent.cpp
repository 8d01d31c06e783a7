// Stands for cuDNN and cuBLASLt, which the emulation lacks, so the plain kernels run.
#include "engine/kernels/cuda/libraries.h"

namespace reprise::kernels::cuda {

bool libraries_wanted() {
  return false;
}
bool cudnn_convolution(const Convolution&) {
  return false;
}
bool cublas_product(const Product&) {
  return false;
}

}  // namespace reprise::kernels::cuda
