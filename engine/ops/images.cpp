#include "engine/ops/images.h"

#include "engine/kernels/run.h"
#include "engine/ops/error_bound.h"
#include "engine/ops/operands.h"

namespace reprise::ops {

// y[n] = (images[rows[n]] / 255 - mean[c]) / std[c]
// The first quotient is off by u |y + mean / std|, the difference and the second by u |y| each.
Tensor normalize_images(const Tensor& images, DType dtype, const NormalizeArgs& args, const Tensor& rows) {
  REPRISE_CHECK(images.defined() && images.dtype() == DType::u8 && images.rank() == 4 && images.dim(3) <= 4,
                "normalize_images: expected u8 images of rank 4 with at most 4 channels{}",
                operand_line("images", images, "(N,H,W,C)"));
  REPRISE_CHECK(is_floating(dtype), "normalize_images: {} cannot hold the result", name_of(dtype));
  if (rows.defined()) {
    const auto lines = [&] {
      return operand_line("images", images, "(M,H,W,C)") + operand_line("rows", rows, "(N)");
    };
    REPRISE_CHECK(rows.dtype() == DType::i64 && rows.rank() == 1 && rows.device() == images.device(),
                  "normalize_images: expected rows as i64 (N) on the images' device{}", lines());
    if (rows.device().is_host())
      for (const std::int64_t row : rows.values<std::int64_t>())
        REPRISE_CHECK(row >= 0 && row < images.dim(0), "normalize_images: row {} is not in 0..{}{}", row,
                      images.dim(0) - 1, lines());
  }
  Tensor y =
      empty(rows.defined() ? images.shape().with(0, rows.dim(0)) : images.shape(), dtype, images.device());
  run(kernels::normalize_images, y.device(), dtype, args, images.view(), view_of(rows), y.mut_view());
  ErrorBounds::tell("normalize_images", y, [&] {
    ErrorTerms terms = stored_error(2, y, y);
    terms.push_back(
        {ErrorTerm::Kind::f32, 1, normalize_images(images, dtype, {.mean = {}, .std = args.std}, rows)});
    return terms;
  });
  return y;
}

}  // namespace reprise::ops
