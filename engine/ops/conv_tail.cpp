#include "engine/ops/conv_tail.h"

#include "engine/autograd/record.h"
#include "engine/core/error.h"
#include "engine/kernels/run.h"
#include "engine/ops/arithmetic.h"
#include "engine/ops/conv2d.h"
#include "engine/ops/operands.h"
#include "engine/ops/pool.h"
#include "engine/ops/unary.h"

namespace reprise::ops {
namespace {

// With a leading dimension of task groups, which may be left out.
Shape grouped(const Tensor& t, int rank) {
  return t.rank() == rank ? t.shape() : t.shape().prepend(1);
}
View view_of(const Tensor& t) {
  return t.defined() ? t.view() : View{};
}
View filter_view(const Tensor& filter) {
  return filter.defined() ? filter.viewed_as(grouped(filter, 4)).view() : View{};
}
View row_view(const Tensor& statistics) {
  return statistics.viewed_as(grouped(statistics, 2)).view();
}
MutView out(Tensor& t) {
  return t.defined() ? t.mut_view() : MutView{};
}

Conv2dArgs same_size(const Tensor& filter) {
  return Conv2dArgs::same_size(filter.dim(-3), filter.dim(-2));
}

// Of mean and var only those that are defined are looked at.
void check(const char* op, const Tensor& x, const ConvTail& t, const Tensor& mean, const Tensor& var) {
  const auto lines = [&] {
    std::string text = operand_line("input", x, "(N,H,W,C)");
    if (t.filter.defined()) text += operand_line("filter", t.filter, "(T,R,S,C)");
    text += operand_line("gamma", t.gamma, "(T,C)") + operand_line("beta", t.beta, "(T,C)");
    if (mean.defined()) text += operand_line("mean", mean, "(T,C)") + operand_line("var", var, "(T,C)");
    if (t.residual.defined()) text += operand_line("residual", t.residual, "(N,H,W,C)");
    return text;
  };
  check_parameters(op, {"input", x}, {{"gamma", t.gamma}, {"beta", t.beta}});
  REPRISE_CHECK(x.rank() == 4 && (t.gamma.rank() == 1 || t.gamma.rank() == 2),
                "{}: expected an input of rank 4 and a gamma of rank 1 or 2{}", op, lines());
  REPRISE_CHECK(t.gamma.dim(-1) == x.dim(3) && t.gamma.numel() >= 1,
                "{}: the input's channels do not match the gamma{}", op, lines());
  for (const auto& [name, row] :
       std::initializer_list<NamedTensor>{{"beta", t.beta}, {"mean", mean}, {"var", var}}) {
    if (!row.defined()) continue;
    check_parameters(op, {"input", x}, {{name, row}});
    REPRISE_CHECK(row.shape() == t.gamma.shape(), "{}: the {} has another shape than the gamma{}", op, name,
                  lines());
  }
  const std::int64_t groups = grouped(t.gamma, 2)[0];
  REPRISE_CHECK(x.dim(0) % groups == 0, "{}: the batch cannot be split into {} task groups{}", op, groups,
                lines());
  if (t.filter.defined()) {
    check_parameters(op, {"input", x}, {{"filter", t.filter}});
    REPRISE_CHECK(t.filter.rank() == 3 || t.filter.rank() == 4, "{}: expected a filter of rank 3 or 4{}", op,
                  lines());
    REPRISE_CHECK(t.filter.dim(-1) == x.dim(3), "{}: the input's channels do not match the filter{}", op,
                  lines());
    REPRISE_CHECK(grouped(t.filter, 4)[0] == groups, "{}: the filter has other task groups than the gamma{}",
                  op, lines());
    REPRISE_CHECK(t.filter.dim(-2) % 2 == 1 && t.filter.dim(-3) % 2 == 1,
                  "{}: a filter of even size has no middle{}", op, lines());
  }
  if (t.residual.defined()) {
    check_operands(op, {{"input", x}, {"residual", t.residual}});
    REPRISE_CHECK(t.residual.shape() == x.shape(), "{}: the residual has another shape than the input{}", op,
                  lines());
    REPRISE_CHECK(!t.max_pool, "{}: a max pool behind a residual is not part of it{}", op, lines());
  }
}

void check_has_variance(const char* op, const Tensor& x, const ConvTail& t) {
  REPRISE_CHECK(x.numel() / t.gamma.numel() > 1,
                "{}: one value per channel has no variance; use more images in the batch or larger ones, or "
                "normalise with running statistics{}{}",
                op, operand_line("input", x, "(N,H,W,C)"), operand_line("gamma", t.gamma, "(T,C)"));
}

// The parts, for a device without the fused kernels.
Tensor reprogrammed(const Tensor& x, const Tensor& filter) {
  return filter.defined() ? depthwise_conv2d(x, filter, same_size(filter)) : x;
}
Tensor finished(const Tensor& normalised, const ConvTail& t) {
  const Tensor sum = t.residual.defined() ? add(normalised, t.residual) : normalised,
               y = t.args.relu ? relu(sum) : sum;
  return t.max_pool ? max_pool2d(y, *t.max_pool) : y;
}

// Whether the max pool is to follow as an op of its own.
bool pools_apart(const Tensor& x, const ConvTail& t) {
  return t.max_pool && conv_tail_is_fused(x.device(), x.dtype()) &&
         !conv_tail_pool_is_fused(x.device(), x.dtype());
}
ConvTail without_pool(ConvTail t) {
  t.max_pool.reset();
  return t;
}

// A filter's output b of up to so many bytes is kept for backward: caches hold it, and making it again would
// cost more. The bits are the same.
constexpr std::size_t kept_bytes = std::size_t{4} << 20;

// A frozen convolution in front, whose input's gradient its kernel makes as well.
struct Convolution {
  Conv2dArgs args;
  Tensor input, weight;
};

// A max pool's winners and their taps, where the statistics came with them.
struct Winners {
  Tensor values, taps;
};

// What backward needs. Where the ReLU was open is a bit per element, or with a max pool part of its taps; a
// large b is made again.
struct Kept {
  ConvTailArgs args;
  std::optional<Pool2dArgs> pool;
  Shape images;    // x's
  bool constants;  // the statistics
  bool for_filter, for_parameters, for_batch_norm;
  Saved x, b, filter, gamma, mean, var;
  Tensor open, winner;             // the bits, or the taps and b there
  std::optional<Conv2dArgs> conv;  // of a convolution in front
  Saved weight;                    // its
  Shape inputs;

  // Gradients of x, or of the convolution's input, filter, gamma, beta, residual.
  std::vector<Tensor> backward(const Tensor& dy, const Needs& needs) const;

 private:
  // In the shapes of what they belong to.
  std::vector<Tensor> gradients(const Tensor& dx, const Tensor& dfilter, const Tensor& dgamma,
                                const Tensor& dbeta, const Tensor& dresidual, const Needs& needs) const;
};

std::vector<Tensor> Kept::gradients(const Tensor& dx, const Tensor& dfilter, const Tensor& dgamma,
                                    const Tensor& dbeta, const Tensor& dresidual, const Needs& needs) const {
  const Shape& parameters = gamma.get().shape();
  return {dx, needs[1] ? dfilter.viewed_as(filter.get().shape()) : dfilter,
          needs[2] ? dgamma.viewed_as(parameters) : Tensor(),
          needs[3] ? dbeta.viewed_as(parameters) : Tensor(), dresidual};
}

// g = dy where y > 0 (without ReLU: dy).   dresidual = g.   dgamma, dbeta and the gradient db of the filter's
// output b are those of batch norm from b and g, dx and dfilter those of a depthwise convolution from db.
std::vector<Tensor> Kept::backward(const Tensor& dy, const Needs& needs) const {
  const auto like_x = [&] { return empty(images, dy.dtype(), dy.device()); };
  const auto parameter = [&](const Shape& shape) { return empty(shape, mean.get().dtype(), dy.device()); };
  const View where = view_of(open), w = filter_view(filter), input = view_of(x), filtered = view_of(b);
  Tensor dx, dfilter, dgamma, dbeta, dresidual;
  if (for_parameters || (for_batch_norm && !constants)) {
    dgamma = parameter(grouped(mean, 2));
    dbeta = parameter(grouped(mean, 2));
    if (pool)
      run(kernels::conv_tail_pool_bwd_params, dy.device(), dy.dtype(), args, winner.view(), dy.view(), where,
          row_view(mean), row_view(var), dgamma.mut_view(), dbeta.mut_view());
    else
      run(kernels::conv_tail_bwd_params, dy.device(), dy.dtype(), args, filtered ? filtered : input,
          filtered ? View{} : w, dy.view(), where, row_view(mean), row_view(var), dgamma.mut_view(),
          dbeta.mut_view());
  }
  if (needs[1]) dfilter = parameter(w.shape);
  if (needs[4]) dresidual = args.relu ? like_x() : dy;
  const bool masks = needs[4] && args.relu;
  if (conv && needs[0]) {
    dx = needs.take_sum(0);
    const auto& kernel = dx.defined() ? kernels::conv2d_tail_bwd_add : kernels::conv2d_tail_bwd;
    if (!dx.defined()) dx = empty(inputs, dy.dtype(), dy.device());
    run(kernel, dy.device(), dy.dtype(), *conv, args, input, weight.get().view(), dy.view(), where,
        row_view(mean), row_view(var), row_view(gamma), dgamma.view(), dbeta.view(), dx.mut_view(),
        masks ? dresidual.mut_view() : MutView{});
    return gradients(dx, dfilter, dgamma, dbeta, dresidual, needs);
  }
  if (needs[0]) dx = like_x();
  const View dgammas = constants ? View{} : view_of(dgamma), dbetas = constants ? View{} : view_of(dbeta);
  if (pool && (needs[0] || needs[1]))
    run(kernels::conv_tail_pool_bwd, dy.device(), dy.dtype(), args, *pool, input, filtered, w, dy.view(),
        where, row_view(mean), row_view(var), row_view(gamma), dgammas, dbetas, out(dx), out(dfilter));
  else if (needs[0] || needs[1] || masks)
    run(kernels::conv_tail_bwd, dy.device(), dy.dtype(), args, input, filtered, w, dy.view(), where,
        row_view(mean), row_view(var), row_view(gamma), dgammas, dbetas, out(dx), out(dfilter),
        masks ? dresidual.mut_view() : MutView{});
  return gradients(dx, dfilter, dgamma, dbeta, dresidual, needs);
}

// The forward with these statistics, recorded. `filtered`: what the filter made of x, whose memory becomes
// y's unless backward keeps it or y is smaller; undefined where it is still to be made. `chosen`: of a max
// pool, if they are known. `conv`: what made x, which is not recorded yet.
Tensor finish(const std::string& op, const Tensor& x, const ConvTail& t, const Tensor& mean,
              const Tensor& var, bool constants, const Tensor& filtered = {}, const Winners& chosen = {},
              const std::optional<Convolution>& conv = {}) {
  const Tensor& source = conv ? conv->input : x;
  const bool wanted = any_requires_grad({source, t.filter, t.gamma, t.beta, t.residual});
  const bool keeps = wanted && filtered.defined() && filtered.bytes() <= kept_bytes;
  const Device device = x.device();
  const View input = filtered.defined() ? filtered.view() : x.view(),
             made_by = filtered.defined() ? View{} : filter_view(t.filter);
  const bool for_filter = requires_grad(t.filter), for_batch_norm = for_filter || requires_grad(source),
             for_parameters = requires_grad(t.gamma) || requires_grad(t.beta),
             input_gradient = for_batch_norm && !constants;
  Tensor y, open, winner;
  if (chosen.values.defined()) {
    y = empty(chosen.values.shape(), x.dtype(), device);
    open = chosen.taps, winner = chosen.values;
    run(kernels::conv_tail_pooled_fwd, device, x.dtype(), t.args, winner.view(), row_view(mean),
        row_view(var), row_view(t.gamma), row_view(t.beta), y.mut_view(), open.mut_view());
  } else if (t.max_pool) {
    y = empty(max_pool2d_shape(x, *t.max_pool), x.dtype(), device);
    open = empty(y.shape(), DType::u8, device);
    if (wanted && (for_parameters || input_gradient)) winner = empty(y.shape(), x.dtype(), device);
    run(kernels::conv_tail_pool_fwd, device, x.dtype(), t.args, *t.max_pool, input, made_by, row_view(mean),
        row_view(var), row_view(t.gamma), row_view(t.beta), y.mut_view(), open.mut_view(), out(winner));
  } else {
    y = filtered.defined() && !keeps ? filtered : empty(x.shape(), x.dtype(), device);
    if (wanted && t.args.relu) open = empty(x.shape().with(3, (x.dim(3) + 7) / 8), DType::u8, device);
    run(kernels::conv_tail_fwd, device, x.dtype(), t.args, input, made_by, row_view(mean), row_view(var),
        row_view(t.gamma), row_view(t.beta), view_of(t.residual), y.mut_view(), out(open));
  }
  if (!wanted) return y;
  const bool reads_b = input_gradient || (for_parameters && !t.max_pool),
             reads_x = for_filter || (reads_b && !keeps);
  const Kept kept{t.args,
                  t.max_pool,
                  x.shape(),
                  constants,
                  for_filter,
                  for_parameters,
                  for_batch_norm,
                  Saved(reads_x ? x : Tensor(), op + ": input"),
                  Saved(keeps ? filtered : Tensor(), op + ": filter's output"),
                  Saved(t.filter, op + ": filter"),
                  Saved(t.gamma, op + ": gamma"),
                  Saved(mean, op + ": mean"),
                  Saved(var, op + ": variance"),
                  open,
                  winner,
                  conv ? std::optional(conv->args) : std::nullopt,
                  Saved(conv ? conv->weight : Tensor(), op + ": convolution's filter"),
                  source.shape()};
  record(op, {source, t.filter, t.gamma, t.beta, t.residual}, y,
         [kept](const Tensor& dy, const Needs& needs) { return kept.backward(dy, needs); });
  return y;
}

}  // namespace

BatchNormResult conv_tail(const Tensor& x, const ConvTail& t) {
  check("conv_tail", x, t, {}, {});
  if (pools_apart(x, t)) {
    BatchNormResult r = conv_tail(x, without_pool(t));
    r.y = max_pool2d(r.y, *t.max_pool);
    return r;
  }
  if (!conv_tail_is_fused(x.device(), x.dtype())) {
    const BatchNormResult parts = batch_norm(reprogrammed(x, t.filter), t.gamma, t.beta, {.eps = t.args.eps});
    return {finished(parts.y, t), parts.mean, parts.var};
  }
  check_has_variance("conv_tail", x, t);
  Tensor mean = empty(grouped(t.gamma, 2), t.gamma.dtype(), x.device()),
         var = empty(mean.shape(), t.gamma.dtype(), x.device());
  Tensor filtered;
  if (t.filter.defined()) {
    filtered = empty(x.shape(), x.dtype(), x.device());
    run(kernels::conv_tail_stats, x.device(), x.dtype(), x.view(), filter_view(t.filter), filtered.mut_view(),
        mean.mut_view(), var.mut_view());
  } else {
    run(kernels::batch_norm_stats, x.device(), x.dtype(), x.view(), mean.mut_view(), var.mut_view());
  }
  const Tensor y = finish("conv_tail", x, t, mean, var, false, filtered);
  return {y, mean.viewed_as(t.gamma.shape()), var.viewed_as(t.gamma.shape())};
}

Tensor conv_tail_eval(const Tensor& x, const Tensor& mean, const Tensor& var, const ConvTail& t) {
  check_parameters("conv_tail_eval", {"input", x}, {{"mean", mean}, {"var", var}});
  check("conv_tail_eval", x, t, mean, var);
  if (pools_apart(x, t)) return max_pool2d(conv_tail_eval(x, mean, var, without_pool(t)), *t.max_pool);
  if (!conv_tail_is_fused(x.device(), x.dtype()))
    return finished(
        batch_norm_eval(reprogrammed(x, t.filter), mean, var, t.gamma, t.beta, {.eps = t.args.eps}), t);
  REPRISE_CHECK(!any_requires_grad({mean, var}),
                "conv_tail_eval: the statistics are constants here, but one of them wants a gradient");
  return finish("conv_tail_eval", x, t, mean, var, true);
}

Tensor conv2d_tail(const Tensor& x, const Tensor& w, const Conv2dArgs& conv, const Tensor& mean,
                   const Tensor& var, const ConvTail& t) {
  record_no_gradient("conv2d_tail", {x, w, mean, var, t.filter, t.gamma, t.beta, t.residual});
  if (t.max_pool && !t.filter.defined())
    return max_pool2d(conv2d_tail(x, w, conv, mean, var, without_pool(t)), *t.max_pool);
  if (t.filter.defined() || !has_kernel(kernels::conv2d_tail_fwd, x.device(), x.dtype()))
    return conv_tail_eval(conv2d(x, w, conv), mean, var, t);
  Tensor y = empty(conv2d_shape(x, w, conv), x.dtype(), x.device());
  check("conv2d_tail", y, t, mean, var);
  run(kernels::conv2d_tail_fwd, y.device(), y.dtype(), conv, t.args, x.view(), w.view(), row_view(mean),
      row_view(var), row_view(t.gamma), row_view(t.beta), view_of(t.residual), y.mut_view());
  return y;
}

namespace {

// A frozen 1x1 convolution with batch norm right behind it: its kernel makes the gradient of both.
bool goes_back_at_once(const Tensor& w, const Conv2dArgs& a, const ConvTail& t) {
  return w.dim(1) == 1 && w.dim(2) == 1 && a.padding == Conv2dArgs{}.padding && a.groups == 1 &&
         !requires_grad(w) && !t.filter.defined() && !t.max_pool;
}

}  // namespace

bool conv2d_tail_is_fused(const Tensor& x, const Tensor& w, const Conv2dArgs& conv, const ConvTail& t) {
  return w.rank() == 4 && x.numel() > 0 && conv.groups == 1 && conv_tail_is_fused(x.device(), x.dtype()) &&
         (t.max_pool ? conv_tail_pool_is_fused(x.device(), x.dtype()) &&
                           has_kernel(kernels::conv2d_pool_stats_fwd, x.device(), x.dtype())
                     : has_kernel(kernels::conv2d_stats_fwd, x.device(), x.dtype()));
}

BatchNormResult conv2d_tail(const Tensor& x, const Tensor& w, const Conv2dArgs& conv, const ConvTail& t,
                            std::string_view conv_layer) {
  if (!conv2d_tail_is_fused(x, w, conv, t)) return conv_tail(conv2d(x, w, conv), t);
  const Device device = x.device();
  const DType dtype = x.dtype();
  Tensor made = empty(conv2d_shape(x, w, conv), dtype, device);
  check("conv2d_tail", made, t, {}, {});
  check_has_variance("conv2d_tail", made, t);
  Tensor mean = empty(grouped(t.gamma, 2), t.gamma.dtype(), device),
         var = empty(mean.shape(), t.gamma.dtype(), device), filtered;
  Winners winners;
  std::optional<ErrorScope> convolving;
  if (!conv_layer.empty()) convolving.emplace("layer", conv_layer);
  if (t.max_pool) {
    winners.values = empty(max_pool2d_shape(made, *t.max_pool), dtype, device);
    winners.taps = empty(winners.values.shape(), DType::u8, device);
    run(kernels::conv2d_pool_stats_fwd, device, dtype, conv, *t.max_pool, x.view(), w.view(),
        filter_view(t.filter), row_view(t.gamma), made.mut_view(), winners.values.mut_view(),
        winners.taps.mut_view(), mean.mut_view(), var.mut_view());
  } else {
    if (t.filter.defined()) filtered = empty(made.shape(), dtype, device);
    run(kernels::conv2d_stats_fwd, device, dtype, conv, x.view(), w.view(), filter_view(t.filter),
        made.mut_view(), out(filtered), mean.mut_view(), var.mut_view());
  }
  std::optional<Convolution> unrecorded;
  if (goes_back_at_once(w, conv, t))
    unrecorded = Convolution{conv, x, w};
  else
    record_conv2d(x, w, conv, made);
  convolving.reset();
  const Tensor y = finish("conv2d_tail", made, t, mean, var, false, filtered, winners, unrecorded);
  return {y, mean.viewed_as(t.gamma.shape()), var.viewed_as(t.gamma.shape())};
}

bool conv_tail_is_fused(Device device, DType dtype) {
  return has_kernel(kernels::conv_tail_stats, device, dtype) &&
         has_kernel(kernels::conv_tail_fwd, device, dtype) &&
         has_kernel(kernels::conv_tail_bwd_params, device, dtype) &&
         has_kernel(kernels::conv_tail_bwd, device, dtype);
}

bool conv_tail_pool_is_fused(Device device, DType dtype) {
  return conv_tail_is_fused(device, dtype) && has_kernel(kernels::conv_tail_pool_fwd, device, dtype) &&
         has_kernel(kernels::conv_tail_pool_bwd_params, device, dtype) &&
         has_kernel(kernels::conv_tail_pool_bwd, device, dtype);
}

}  // namespace reprise::ops
