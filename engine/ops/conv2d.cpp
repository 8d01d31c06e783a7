#include "engine/ops/conv2d.h"

#include "engine/autograd/record.h"
#include "engine/kernels/run.h"
#include "engine/ops/arithmetic.h"
#include "engine/ops/error_bound.h"
#include "engine/ops/operands.h"

namespace reprise::ops {
namespace {

void check_args(const char* op, const Conv2dArgs& args) {
  for (std::size_t a = 0; a < 2; ++a)
    REPRISE_CHECK(
        args.stride[a] >= 1 && args.dilation[a] >= 1 && args.padding[a] >= 0 && args.groups >= 1,
        "{}: stride, dilation and groups start at 1 and padding at 0; got stride {}x{}, dilation {}x{}, "
        "padding {}x{}, groups {}",
        op, args.stride[0], args.stride[1], args.dilation[0], args.dilation[1], args.padding[0],
        args.padding[1], args.groups);
}

}  // namespace

Shape conv2d_shape(const Tensor& x, const Tensor& w, const Conv2dArgs& args) {
  check_parameters("conv2d", {"input", x}, {{"filter", w}});
  const auto lines = [&] {
    return operand_line("input", x, "(N,H,W,C)") + operand_line("filter", w, "(O,R,S,I)");
  };
  REPRISE_CHECK(x.rank() == 4 && w.rank() == 4, "conv2d: expected an input and a filter of rank 4{}",
                lines());
  check_args("conv2d", args);
  REPRISE_CHECK(w.dim(3) >= 1, "conv2d: expected at least one input channel{}", lines());
  REPRISE_CHECK(x.dim(3) == w.dim(3) * args.groups,
                "conv2d: the input's channels do not match the filter{}   expects C = {}, got {}", lines(),
                w.dim(3) * args.groups, x.dim(3));
  REPRISE_CHECK(w.dim(0) % args.groups == 0, "conv2d: {} output channels cannot be split into {} groups{}",
                w.dim(0), args.groups, lines());
  const std::int64_t oh = args.out_size(0, x.dim(1), w.dim(1)), ow = args.out_size(1, x.dim(2), w.dim(2));
  REPRISE_CHECK(oh > 0 && ow > 0, "conv2d: the input is smaller than the filter{}", lines());
  return {x.dim(0), oh, ow, w.dim(0)};
}

// dx = dy correlated with w (flipped in r and s, with i and o exchanged).
// dw = x correlated with dy.
void record_conv2d(const Tensor& x, const Tensor& w, const Conv2dArgs& args, Tensor& y) {
  if (!any_requires_grad({x, w})) return;
  const Saved saved_x(requires_grad(w) ? x : Tensor(), "conv2d: input");  // a frozen filter needs no input
  const Saved saved_w(requires_grad(x) ? w : Tensor(), "conv2d: filter");
  record("conv2d", {x, w}, y,
         [args, saved_x, saved_w, x_shape = x.shape(), w_shape = w.shape()](const Tensor& dy,
                                                                            const Needs& needs) {
           Tensor dx, dw;
           if (needs[0]) {
             dx = needs.take_sum(0);
             const bool accumulate = dx.defined();
             if (!accumulate) dx = empty(x_shape, dy.dtype(), dy.device());
             run(kernels::conv2d_dgrad, dy.device(), dy.dtype(), args, accumulate, dy.view(),
                 saved_w.get().view(), dx.mut_view());
           }
           if (needs[1]) {
             dw = empty(w_shape, parameter_dtype(dy.dtype()), dy.device());
             run(kernels::conv2d_wgrad, dy.device(), dy.dtype(), args, saved_x.get().view(), dy.view(),
                 dw.mut_view());
           }
           return std::vector{dx, dw};
         });
}

// y = x * w (cross-correlation). A sum of n = R S I products: |error| <= n u |x| * |w|.
Tensor conv2d(const Tensor& x, const Tensor& w, const Conv2dArgs& args, const Tensor& bias) {
  Tensor y = empty(conv2d_shape(x, w, args), x.dtype(), x.device());
  run(kernels::conv2d_fwd, y.device(), y.dtype(), args, x.view(), w.view(), y.mut_view());
  record_conv2d(x, w, args, y);
  ErrorBounds::tell("conv2d", y, [&] {
    const Tensor size = conv2d(absolute(x), absolute_filter(w), args);
    ErrorTerms terms = winograd_error(args, x, w, y.shape());
    terms.push_back({ErrorTerm::Kind::direct, static_cast<double>(w.numel() / w.dim(0)), size});
    terms.push_back({ErrorTerm::Kind::bf16, 1, size});  // the filter
    terms.push_back({ErrorTerm::Kind::bf16, 1, y});
    return terms;
  });
  return bias.defined() ? add(y, bias) : y;
}

// The same, one filter per channel. n = R S products, and bf16 rounds no filter.
Tensor depthwise_conv2d(const Tensor& x, const Tensor& w, const Conv2dArgs& args) {
  check_parameters("depthwise_conv2d", {"input", x}, {{"filter", w}});
  const auto lines = [&] {
    return operand_line("input", x, "(N,H,W,C)") + operand_line("filter", w, "(R,S,C)");
  };
  REPRISE_CHECK(x.rank() == 4 && w.rank() == 3,
                "depthwise_conv2d: expected an input of rank 4 and a filter of rank 3{}", lines());
  check_args("depthwise_conv2d", args);
  REPRISE_CHECK(x.dim(3) == w.dim(-1), "depthwise_conv2d: the input's channels do not match the filter{}",
                lines());
  const std::int64_t oh = args.out_size(0, x.dim(1), w.dim(-3)), ow = args.out_size(1, x.dim(2), w.dim(-2));
  REPRISE_CHECK(oh > 0 && ow > 0, "depthwise_conv2d: the input is smaller than the filter{}", lines());

  Tensor y = empty({x.dim(0), oh, ow, x.dim(3)}, x.dtype(), x.device());
  run(kernels::depthwise_fwd, y.device(), y.dtype(), args, x.view(), w.view(), y.mut_view());
  if (any_requires_grad({x, w})) {
    const Saved saved_x(requires_grad(w) ? x : Tensor(), "depthwise_conv2d: input");
    const Saved saved_w(requires_grad(x) ? w : Tensor(), "depthwise_conv2d: filter");
    record("depthwise_conv2d", {x, w}, y,
           [=, x_shape = x.shape(), w_shape = w.shape()](const Tensor& dy, const Needs& needs) {
             Tensor dx, dw;
             if (needs[0]) {
               dx = empty(x_shape, dy.dtype(), dy.device());
               run(kernels::depthwise_dgrad, dy.device(), dy.dtype(), args, dy.view(), saved_w.get().view(),
                   dx.mut_view());
             }
             if (needs[1]) {
               dw = empty(w_shape, parameter_dtype(dy.dtype()), dy.device());
               run(kernels::depthwise_wgrad, dy.device(), dy.dtype(), args, saved_x.get().view(), dy.view(),
                   dw.mut_view());
             }
             return std::vector{dx, dw};
           });
  }
  ErrorBounds::tell("depthwise_conv2d", y, [&] {
    return stored_error(w.dim(0) * w.dim(1), depthwise_conv2d(absolute(x), absolute_filter(w), args), y);
  });
  return y;
}

}  // namespace reprise::ops
