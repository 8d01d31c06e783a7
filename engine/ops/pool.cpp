#include "engine/ops/pool.h"

#include "engine/autograd/record.h"
#include "engine/kernels/run.h"
#include "engine/ops/error_bound.h"
#include "engine/ops/operands.h"

namespace reprise::ops {
namespace {

void check_images(const char* op, const Tensor& x) {
  check_operands(op, {{"input", x}});
  REPRISE_CHECK(x.rank() == 4 && x.dim(1) >= 1 && x.dim(2) >= 1, "{}: expected images of rank 4{}", op,
                operand_line("input", x, "(N,H,W,C)"));
}

// Checks x and args, and returns the shape of the result.
Shape pooled(const char* op, const Tensor& x, const Pool2dArgs& args) {
  check_images(op, x);
  for (std::size_t a = 0; a < 2; ++a)
    REPRISE_CHECK(args.kernel[a] >= 1 && args.stride[a] >= 1 && args.padding[a] >= 0 &&
                      2 * args.padding[a] <= args.kernel[a],
                  "{}: kernel and stride start at 1, and the padding is at most half the kernel; got kernel "
                  "{}x{}, stride {}x{}, padding {}x{}",
                  op, args.kernel[0], args.kernel[1], args.stride[0], args.stride[1], args.padding[0],
                  args.padding[1]);
  const std::int64_t oh = args.out_size(0, x.dim(1)), ow = args.out_size(1, x.dim(2));
  REPRISE_CHECK(oh > 0 && ow > 0, "{}: the input is smaller than the {}x{} window{}", op, args.kernel[0],
                args.kernel[1], operand_line("input", x, "(N,H,W,C)"));
  return {x.dim(0), oh, ow, x.dim(3)};
}

}  // namespace

// y = the largest of each window.   dx = sum of dy over the windows whose first largest value x is.
Tensor max_pool2d(const Tensor& x, const Pool2dArgs& args) {
  const Shape shape = pooled("max_pool2d", x, args);
  REPRISE_CHECK(args.kernel[0] * args.kernel[1] <= 255,
                "max_pool2d: a window of {}x{} has more than 255 taps", args.kernel[0], args.kernel[1]);
  Tensor y = empty(shape, x.dtype(), x.device()), tap = empty(shape, DType::u8, x.device());
  run(kernels::max_pool2d_fwd, y.device(), y.dtype(), args, x.view(), y.mut_view(), tap.mut_view());
  if (any_requires_grad({x})) {
    record("max_pool2d", {x}, y,
           [args, shape = x.shape(), saved = Saved(tap, "max_pool2d: taps")](const Tensor& dy, const Needs&) {
             Tensor dx = empty(shape, dy.dtype(), dy.device());
             run(kernels::max_pool2d_bwd, dy.device(), dy.dtype(), args, dy.view(), saved.get().view(),
                 dx.mut_view());
             return std::vector{dx};
           });
  }
  ErrorBounds::tell_exact("max_pool2d", y);
  return y;
}

// y = the mean of each window.   dx = sum of dy / size over the windows that contain x.
// A sum of n values and a division: |error| <= (n + 1) u (the mean of |x|).
Tensor avg_pool2d(const Tensor& x, const Pool2dArgs& args) {
  Tensor y = empty(pooled("avg_pool2d", x, args), x.dtype(), x.device());
  run(kernels::avg_pool2d_fwd, y.device(), y.dtype(), args, x.view(), y.mut_view());
  record("avg_pool2d", {x}, y, [args, shape = x.shape()](const Tensor& dy, const Needs&) {
    Tensor dx = empty(shape, dy.dtype(), dy.device());
    run(kernels::avg_pool2d_bwd, dy.device(), dy.dtype(), args, dy.view(), dx.mut_view());
    return std::vector{dx};
  });
  ErrorBounds::tell("avg_pool2d", y, [&] {
    return stored_error(args.kernel[0] * args.kernel[1] + 1, avg_pool2d(absolute(x), args), y);
  });
  return y;
}

// y[n,c] = the mean of x[n,:,:,c].   dx = dy / (H W).   The bound is that of n = H W, in f32.
Tensor global_avg_pool(const Tensor& x) {
  check_images("global_avg_pool", x);
  Tensor y = empty({x.dim(0), x.dim(3)}, parameter_dtype(x.dtype()), x.device());
  run(kernels::global_avg_pool_fwd, y.device(), x.dtype(), x.view(), y.mut_view());
  record("global_avg_pool", {x}, y, [shape = x.shape(), dtype = x.dtype()](const Tensor& dy, const Needs&) {
    Tensor dx = empty(shape, dtype, dy.device());
    run(kernels::global_avg_pool_bwd, dy.device(), dtype, dy.view(), dx.mut_view());
    return std::vector{dx};
  });
  ErrorBounds::tell("global_avg_pool", y, [&] {
    return ErrorTerms{
        {ErrorTerm::Kind::f32, static_cast<double>(x.dim(1) * x.dim(2) + 1), global_avg_pool(absolute(x))}};
  });
  return y;
}

}  // namespace reprise::ops
