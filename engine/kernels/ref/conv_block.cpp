// A convolution and its epilogue, defined as its parts, one after the other:
//   y = [activation](batch_norm(depthwise(conv2d(x, w), filter)) [+ residual])
#include <algorithm>
#include <vector>

#include "engine/kernels/ref/loops.h"

namespace reprise::kernels::ref {
namespace {

// A tensor that one part hands to the next.
template <class T>
class Between {
 public:
  explicit Between(const Shape& shape) : shape_(shape), values_(static_cast<std::size_t>(shape.numel())) {}
  MutView out() { return {values_.data(), shape_, dtype_of<T>}; }
  operator View() const { return {values_.data(), shape_, dtype_of<T>}; }  // NOLINT: implicit on purpose

 private:
  Shape shape_;
  std::vector<T> values_;
};

Conv2dArgs same_size(View filter) {
  return Conv2dArgs::same_size(filter.dim(0), filter.dim(1));
}

// Calls f with the input of batch norm: the filter's output, or x if there is no filter.
template <class T, class F>
void with_filtered(View x, View filter, F f) {
  if (!filter) return f(x);
  Between<T> b(x.shape);
  depthwise_fwd<T>(same_size(filter), x, filter, b.out());
  f(View(b));
}

// Calls f with the gradient before the activation: dy where it was open, else 0; dy without one.
template <class T, class F>
void with_gradient(View dy, View open, F f) {
  if (!open) return f(dy);
  Between<T> g(dy.shape);
  const std::int64_t channels = dy.dim(3), bytes = open.dim(3);
  each_output(dy.numel(), 4, [&](std::int64_t i) {
    const std::int64_t c = i % channels;
    const bool passes = open.data<std::uint8_t>()[i / channels * bytes + c / 8] >> c % 8 & 1;
    g.out().template data<T>()[i] = passes ? dy.data<T>()[i] : T(0);
  });
  f(View(g));
}

// Sets bit c % 8 of a pixel's byte c / 8 where y > 0 (and y < 6, with `six`), and clears it elsewhere.
template <class T>
void mark_open(View y, bool six, MutView open) {
  const std::int64_t channels = y.dim(3), bytes = open.dim(3);
  each_output(open.numel(), 8, [&](std::int64_t i) {
    const T* pixel = y.data<T>() + i / bytes * channels;
    unsigned byte = 0;
    for (std::int64_t c = i % bytes * 8; c < channels && c < i % bytes * 8 + 8; ++c)
      if (pixel[c] > 0 && !(six && pixel[c] >= 6)) byte |= 1u << c % 8;
    open.data<std::uint8_t>()[i] = static_cast<std::uint8_t>(byte);
  });
}

}  // namespace

template <class T>
void conv_block_stats(const ConvBlockArgs& a, const BlockStatsIn& in, const BlockStatsOut& out) {
  if (in.w) conv2d_fwd<T>(a.conv, in.x, in.w, out.made);
  const View made = in.w ? out.made : in.x;
  if (in.filter) depthwise_fwd<T>(same_size(in.filter), made, in.filter, out.b);
  batch_norm_stats<T>(in.filter ? out.b : made, out.mean, out.var);
}

template <class T>
void conv_block_fwd(const ConvBlockArgs& a, const BlockFwdIn& in, const BlockFwdOut& out) {
  Between<T> h(out.y.shape);
  const bool activates = a.activation != Activation::none, six = a.activation == Activation::relu6;
  const MutView made = out.made ? out.made : h.out(), sum = activates ? h.out() : out.y,
                normalised = in.residual ? h.out() : sum;
  if (in.w) conv2d_fwd<T>(a.conv, in.x, in.w, made);
  with_filtered<T>(in.w ? made : in.x, in.filter, [&](View b) {
    batch_norm_fwd<T>({.eps = a.eps}, b, in.mean, in.var, in.gamma, in.beta, normalised);
  });
  if (in.residual) binary<T>({BinaryOp::add, Broadcast::none}, h, in.residual, sum);
  if (activates) unary_fwd<T>({six ? UnaryOp::relu6 : UnaryOp::relu}, h, out.y);
  if (out.open) mark_open<T>(out.y, six, out.open);
}

template <class T>
void conv_block_bwd_params(const ConvBlockArgs& a, const BlockParamsIn& in, const BlockParamsOut& out) {
  with_gradient<T>(in.dy, in.open, [&](View g) {
    with_filtered<T>(in.x, in.filter, [&](View b) {
      batch_norm_bwd_params<T>({.eps = a.eps}, b, g, in.mean, in.var, out.dgamma, out.dbeta);
    });
  });
}

template <class T>
void conv_block_bwd(const ConvBlockArgs& a, bool accumulate, const BlockGradIn& in, const BlockGradOut& out) {
  with_gradient<T>(in.dy, in.open, [&](View g) {
    if (out.dresidual) std::copy_n(g.data<T>(), g.numel(), out.dresidual.data<T>());
    if (!out.dx && !out.dfilter) return;
    Between<T> between(in.dy.shape);
    const MutView db = in.w || in.filter ? between.out() : out.dx;
    if (!in.dgamma)
      batch_norm_bwd_eval<T>({.eps = a.eps}, g, in.var, in.gamma, db);
    else
      with_filtered<T>(in.b ? in.b : in.x, in.b ? View{} : in.filter, [&](View b) {
        batch_norm_bwd_train<T>({.eps = a.eps}, b, g, in.mean, in.var, in.gamma, in.dgamma, in.dbeta, db);
      });
    if (in.filter && out.dx) depthwise_dgrad<T>(same_size(in.filter), db, in.filter, out.dx);
    if (in.filter && out.dfilter) depthwise_wgrad<T>(same_size(in.filter), in.x, db, out.dfilter);
    if (in.w) conv2d_dgrad<T>(a.conv, accumulate, db, in.w, out.dx);
  });
}

REPRISE_REF_KERNEL(conv_block_stats);
REPRISE_REF_KERNEL(conv_block_fwd);
REPRISE_REF_KERNEL(conv_block_bwd_params);
REPRISE_REF_KERNEL(conv_block_bwd);

}  // namespace reprise::kernels::ref
