// Stands for cuDNN and cuBLASLt, which the emulation lacks, so the plain kernels run. Where cudnn.h is
// installed, REPRISE_CUDA_LIBRARIES=1 brings in the imitation of cuDNN.
#include <cstdlib>
#include <string_view>

#include "engine/kernels/cuda/libraries.h"
#include "engine/kernels/fallback.h"

namespace reprise::kernels::cuda {

#if defined(REPRISE_IMITATES_CUDNN)
bool libraries_wanted() {
  const char* wanted = std::getenv("REPRISE_CUDA_LIBRARIES");
  return wanted != nullptr && std::string_view(wanted) == "1";
}
bool cublas_product(const Product&) {
  count_fallback("product: the emulation has no cuBLASLt, a plain cuda kernel runs it");
  return false;
}
#else
bool libraries_wanted() {
  return false;
}
bool cudnn_convolution(const Convolution&) {
  return false;
}
bool cublas_product(const Product&) {
  return false;
}
#endif

}  // namespace reprise::kernels::cuda
