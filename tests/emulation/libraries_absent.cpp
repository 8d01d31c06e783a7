// Stands for cuDNN and cuBLASLt, which the emulation lacks, so the plain kernels run. Where the
// libraries' headers are installed, REPRISE_CUDA_LIBRARIES=1 brings in imitations.
#include <cstdlib>
#include <string_view>

#include "engine/kernels/cuda/libraries.h"

namespace reprise::kernels::cuda {

#if defined(REPRISE_IMITATES_LIBRARIES)
bool libraries_wanted() {
  const char* wanted = std::getenv("REPRISE_CUDA_LIBRARIES");
  return wanted != nullptr && std::string_view(wanted) == "1";
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
