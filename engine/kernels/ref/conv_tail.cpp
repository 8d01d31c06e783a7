// A fused op means its parts, one after the other: b = depthwise(x, w), batch norm, + residual, ReLU, max
// pool; the last one's winners are chosen from b, where no rounding makes different values equal.
#include <cmath>
#include <vector>

#include "engine/kernels/ref/loops.h"

namespace reprise::kernels::ref {
namespace {

// A tensor between two parts.
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

Conv2dArgs same_size(View w) {
  return Conv2dArgs::same_size(w.dim(1), w.dim(2));
}

// Calls f with the input of batch norm: the filter's output, or x.
template <class T, class F>
void with_filtered(View x, View w, F f) {
  if (!w) return f(x);
  Between<T> b(x.shape);
  depthwise_fwd<T>(same_size(w), x, w, b.out());
  f(View(b));
}

// Calls f with dy, or where a ReLU followed with what it lets through.
template <class T, class F>
void with_gradient(View dy, View positive, F f) {
  if (!positive) return f(dy);
  Between<T> g(dy.shape);
  const std::int64_t channels = dy.dim(3), bytes = positive.dim(3);
  each_output(dy.numel(), 4, [&](std::int64_t i) {
    const std::int64_t c = i % channels;
    const bool open = positive.data<std::uint8_t>()[i / channels * bytes + c / 8] >> c % 8 & 1;
    g.out().template data<T>()[i] = open ? dy.data<T>()[i] : T(0);
  });
  f(View(g));
}

// y = x, or -x where the channel's gamma has a minus.
template <class T>
void turned(View x, View gamma, MutView y) {
  const std::int64_t channels = gamma.dim(1), group = x.numel() / gamma.dim(0);
  each_output(x.numel(), 1, [&](std::int64_t i) {
    const T v = x.data<T>()[i];
    y.data<T>()[i] = std::signbit(gamma.data<T>()[i / group * channels + i % channels]) ? -v : v;
  });
}

}  // namespace

template <class T>
void conv_tail_stats(View x, View w, MutView b, MutView mean, MutView var) {
  depthwise_fwd<T>(same_size(w), x, w, b);
  batch_norm_stats<T>({b.ptr, b.shape, b.dtype}, mean, var);
}

template <class T>
void conv_tail_fwd(const ConvTailArgs& a, View x, View w, View mean, View var, View gamma, View beta,
                   View residual, MutView y, MutView positive) {
  Between<T> h(x.shape);
  with_filtered<T>(x, w, [&](View b) {
    batch_norm_fwd<T>({.eps = a.eps}, b, mean, var, gamma, beta, residual || a.relu ? h.out() : y);
  });
  if (residual) binary<T>({BinaryOp::add, Broadcast::none}, View(h), residual, a.relu ? h.out() : y);
  if (a.relu) relu_fwd<T>(View(h), y);
  if (!positive) return;
  const std::int64_t channels = y.dim(3), bytes = positive.dim(3);
  each_output(positive.numel(), 8, [&](std::int64_t i) {
    const T* pixel = y.data<T>() + i / bytes * channels;
    unsigned byte = 0;
    for (std::int64_t c = i % bytes * 8; c < channels && c < i % bytes * 8 + 8; ++c)
      if (pixel[c] > 0) byte |= 1u << c % 8;
    positive.data<std::uint8_t>()[i] = static_cast<std::uint8_t>(byte);
  });
}

template <class T>
void conv2d_tail_fwd(const Conv2dArgs& conv, const ConvTailArgs& a, View x, View w, View mean, View var,
                     View gamma, View beta, View residual, MutView y) {
  Between<T> b(y.shape);
  conv2d_fwd<T>(conv, x, w, b.out());
  conv_tail_fwd<T>(a, View(b), {}, mean, var, gamma, beta, residual, y, {});
}

template <class T>
void conv2d_stats_fwd(const Conv2dArgs& conv, View x, View w, View filter, MutView y, MutView b, MutView mean,
                      MutView var) {
  conv2d_fwd<T>(conv, x, w, y);
  const View made{y.ptr, y.shape, y.dtype};
  if (filter)
    conv_tail_stats<T>(made, filter, b, mean, var);
  else
    batch_norm_stats<T>(made, mean, var);
}

template <class T>
void conv_tail_bwd_params(const ConvTailArgs& a, View x, View w, View dy, View positive, View mean, View var,
                          MutView dgamma, MutView dbeta) {
  with_gradient<T>(dy, positive, [&](View g) {
    with_filtered<T>(
        x, w, [&](View b) { batch_norm_bwd_params<T>({.eps = a.eps}, b, g, mean, var, dgamma, dbeta); });
  });
}

template <class T>
void conv_tail_bwd(const ConvTailArgs& a, View x, View b, View w, View dy, View positive, View mean, View var,
                   View gamma, View dgamma, View dbeta, MutView dx, MutView dw, MutView dresidual) {
  const BatchNormArgs norm{.eps = a.eps};
  with_gradient<T>(dy, positive, [&](View g) {
    if (dresidual) affine<T>({}, g, dresidual);
    if (!dx && !dw) return;
    Between<T> db(dy.shape);
    const MutView to = w ? db.out() : dx;
    if (!dgamma)
      batch_norm_bwd_eval<T>(norm, g, var, gamma, to);
    else
      with_filtered<T>(b ? b : x, b ? View{} : w, [&](View h) {
        batch_norm_bwd_train<T>(norm, h, g, mean, var, gamma, dgamma, dbeta, to);
      });
    if (w && dx) depthwise_dgrad<T>(same_size(w), View(db), w, dx);
    if (w && dw) depthwise_wgrad<T>(same_size(w), x, View(db), dw);
  });
}

template <class T>
void conv2d_tail_bwd(const Conv2dArgs& conv, const ConvTailArgs& a, View b, View w, View dy, View positive,
                     View mean, View var, View gamma, View dgamma, View dbeta, MutView dx,
                     MutView dresidual) {
  Between<T> db(b.shape);
  conv_tail_bwd<T>(a, b, {}, {}, dy, positive, mean, var, gamma, dgamma, dbeta, db.out(), {}, dresidual);
  conv2d_dgrad<T>(conv, View(db), w, dx);
}
template <class T>
void conv2d_tail_bwd_add(const Conv2dArgs& conv, const ConvTailArgs& a, View b, View w, View dy,
                         View positive, View mean, View var, View gamma, View dgamma, View dbeta, MutView dx,
                         MutView dresidual) {
  Between<T> db(b.shape);
  conv_tail_bwd<T>(a, b, {}, {}, dy, positive, mean, var, gamma, dgamma, dbeta, db.out(), {}, dresidual);
  conv2d_dgrad_add<T>(conv, View(db), w, dx);
}

namespace {

// A window's winner has the largest b, or the smallest where gamma is below 0.
template <class T>
void choose_winners(const Pool2dArgs& pool, View b, View gamma, MutView winner, MutView tap) {
  Between<T> in(b.shape);
  turned<T>(b, gamma, in.out());
  max_pool2d_fwd<T>(pool, View(in), winner, tap);
  turned<T>({winner.ptr, winner.shape, winner.dtype}, gamma, winner);
}

}  // namespace

template <class T>
void conv_tail_pooled_fwd(const ConvTailArgs& a, View winner, View mean, View var, View gamma, View beta,
                          MutView y, MutView tap) {
  conv_tail_fwd<T>(a, winner, {}, mean, var, gamma, beta, {}, y, {});
  if (!a.relu) return;
  each_output(y.numel(), 1, [&](std::int64_t i) {
    if (!(y.data<T>()[i] > 0)) tap.data<std::uint8_t>()[i] = 255;
  });
}

template <class T>
void conv_tail_pool_fwd(const ConvTailArgs& a, const Pool2dArgs& pool, View x, View w, View mean, View var,
                        View gamma, View beta, MutView y, MutView tap, MutView winner) {
  Between<T> largest(y.shape);
  with_filtered<T>(x, w, [&](View b) { choose_winners<T>(pool, b, gamma, largest.out(), tap); });
  conv_tail_pooled_fwd<T>(a, View(largest), mean, var, gamma, beta, y, tap);
  if (winner) affine<T>({}, View(largest), winner);
}

template <class T>
void conv2d_pool_stats_fwd(const Conv2dArgs& conv, const Pool2dArgs& pool, View x, View w, View filter,
                           View gamma, MutView y, MutView winner, MutView tap, MutView mean, MutView var) {
  Between<T> b(y.shape);
  conv2d_stats_fwd<T>(conv, x, w, filter, y, b.out(), mean, var);
  choose_winners<T>(pool, filter ? View(b) : View{y.ptr, y.shape, y.dtype}, gamma, winner, tap);
}

template <class T>
void conv_tail_pool_bwd_params(const ConvTailArgs& a, View winner, View dy, View tap, View mean, View var,
                               MutView dgamma, MutView dbeta) {
  Between<T> g(dy.shape);
  each_output(dy.numel(), 1, [&](std::int64_t i) {
    g.out().template data<T>()[i] = tap.data<std::uint8_t>()[i] == 255 ? T(0) : dy.data<T>()[i];
  });
  batch_norm_bwd_params<T>({.eps = a.eps}, winner, View(g), mean, var, dgamma, dbeta);
}

template <class T>
void conv_tail_pool_bwd(const ConvTailArgs& a, const Pool2dArgs& pool, View x, View b, View w, View dy,
                        View tap, View mean, View var, View gamma, View dgamma, View dbeta, MutView dx,
                        MutView dw) {
  Between<T> g(dx ? dx.shape : x.shape);
  max_pool2d_bwd<T>(pool, dy, tap, g.out());
  conv_tail_bwd<T>(a, x, b, w, View(g), {}, mean, var, gamma, dgamma, dbeta, dx, dw, {});
}

REPRISE_REF_KERNEL(conv_tail_stats);
REPRISE_REF_KERNEL(conv_tail_fwd);
REPRISE_REF_KERNEL(conv2d_tail_fwd);
REPRISE_REF_KERNEL(conv2d_stats_fwd);
REPRISE_REF_KERNEL(conv2d_tail_bwd);
REPRISE_REF_KERNEL(conv2d_tail_bwd_add);
REPRISE_REF_KERNEL(conv_tail_bwd_params);
REPRISE_REF_KERNEL(conv_tail_bwd);
REPRISE_REF_KERNEL(conv_tail_pool_fwd);
REPRISE_REF_KERNEL(conv_tail_pooled_fwd);
REPRISE_REF_KERNEL(conv2d_pool_stats_fwd);
REPRISE_REF_KERNEL(conv_tail_pool_bwd_params);
REPRISE_REF_KERNEL(conv_tail_pool_bwd);

}  // namespace reprise::kernels::ref
