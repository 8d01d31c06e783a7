#include "engine/ops/images.h"

#include "engine/kernels/run.h"
#include "engine/ops/operands.h"

namespace reprise::ops {

// y = (u/255 - mean[c]) / std[c]
Tensor normalize_images(const Tensor& images, DType dtype, const NormalizeArgs& args) {
  REPRISE_CHECK(images.defined() && images.dtype() == DType::u8 && images.rank() == 4 && images.dim(3) <= 4,
                "normalize_images: expected u8 images of rank 4 with at most 4 channels{}",
                operand_line("images", images, "(N,H,W,C)"));
  REPRISE_CHECK(is_floating(dtype), "normalize_images: {} cannot hold the result", name_of(dtype));
  Tensor y = empty(images.shape(), dtype, images.device());
  run(kernels::normalize_images, y.device(), dtype, args, images.view(), y.mut_view());
  return y;
}

}  // namespace reprise::ops
