#include "engine/ops/conv_block.h"

#include <optional>

#include "engine/autograd/record.h"
#include "engine/base/error.h"
#include "engine/kernels/run.h"
#include "engine/ops/conv2d.h"
#include "engine/ops/operands.h"

namespace reprise::ops {
namespace {

using namespace kernels;

// While an instance lives, errors and traces name the convolution's layer.
class ConvScope {
 public:
  explicit ConvScope(const ConvBlock& block) {
    if (block.w.defined() && !block.conv_layer.empty()) scope_.emplace("layer", block.conv_layer);
  }

 private:
  std::optional<ErrorScope> scope_;
};

Tensor made_of(const ConvBlock& block) {
  if (!block.w.defined()) return block.x;
  const ConvScope scope(block);
  Tensor made = empty(conv2d_shape(block.x, block.w, block.args.conv), block.x.dtype(), block.x.device());
  made.mut_view();  // check() refuses what was never written; a kernel writes it later
  return made;
}

// Checks all operands after the convolution. `made` is its output, or memory for it.
void check(const char* op, const Tensor& made, const ConvBlock& block, const Tensor& mean = {},
           const Tensor& var = {}) {
  const NamedTensor input{"input", made};
  const auto lines = [&] {
    auto text = operand_line("input", made, "(N,H,W,C)");
    if (block.filter.defined()) text += operand_line("filter", block.filter, "(R,S,C)");
    text += operand_line("gamma", block.gamma, "(C)") + operand_line("beta", block.beta, "(C)");
    if (mean.defined()) text += operand_line("mean", mean, "(C)") + operand_line("var", var, "(C)");
    if (block.residual.defined()) text += operand_line("residual", block.residual, "(N,H,W,C)");
    return text;
  };
  check_parameters(op, input, {{"gamma", block.gamma}, {"beta", block.beta}});
  REPRISE_CHECK(made.rank() == 4 && block.gamma.rank() == 1,
                "{}: expected an input of rank 4 and a gamma of rank 1{}", op, lines());
  REPRISE_CHECK(block.gamma.dim(0) == made.dim(3) && made.dim(3) >= 1,
                "{}: the input's channels do not match the gamma; make the layer for C = {}{}", op,
                made.dim(3), lines());
  for (const auto& [name, row] :
       std::initializer_list<NamedTensor>{{"beta", block.beta}, {"mean", mean}, {"var", var}}) {
    if (!row.defined()) continue;
    check_parameters(op, input, {{name, row}});
    REPRISE_CHECK(row.shape() == block.gamma.shape(), "{}: the {} has another shape than the gamma{}", op,
                  name, lines());
  }
  if (const Tensor& filter = block.filter; filter.defined()) {
    check_parameters(op, input, {{"filter", filter}});
    REPRISE_CHECK(filter.rank() == 3 && filter.dim(2) == made.dim(3),
                  "{}: expected a filter (R,S,{}), of the input's channels{}", op, made.dim(3), lines());
    REPRISE_CHECK(filter.dim(0) % 2 == 1 && filter.dim(1) % 2 == 1,
                  "{}: expected a filter (R,S,C) of odd height and width{}", op, lines());
  }
  if (!block.residual.defined()) return;
  check_operands(op, {input, {"residual", block.residual}});
  REPRISE_CHECK(block.residual.shape() == made.shape(), "{}: the residual has another shape than the input{}",
                op, lines());
}

// Up to this size backward keeps the filter's output b on a CPU; it recomputes more. A GPU keeps all.
constexpr std::size_t kept_bytes = std::size_t{4} << 20;

// Returns whether one backward kernel covers the convolution too: frozen, 1x1, then batch norm.
bool goes_back_at_once(const ConvBlock& block) {
  const Tensor& w = block.w;
  const Conv2dArgs& a = block.args.conv;
  return w.defined() && !requires_grad(w) && w.dim(1) * w.dim(2) == 1 && a.groups == 1 &&
         a.padding == Conv2dArgs{}.padding && !block.filter.defined();
}

// The backward function and what it needs.
struct Kept {
  ConvBlockArgs args;
  bool constants;  // whether mean and var are constants
  Saved x, b, w, filter, gamma, mean, var;
  Tensor open;
  Shape input;

  std::vector<Tensor> operator()(const Tensor& dy, const Needs& needs) const;
};

// g = dy where the activation is open, else 0 (without one, g = dy);   dresidual = g
// dgamma, dbeta, db: as in batch_norm, from b and g
// dmade, dfilter: as in depthwise_conv2d, from db;   dx: as in conv2d, from dmade
// The inputs are x (made, if the convolution is recorded by itself), filter, gamma, beta, residual.
std::vector<Tensor> Kept::operator()(const Tensor& dy, const Needs& needs) const {
  const Device device = dy.device();
  const auto like = [&](const Tensor& parameter) {
    return empty(parameter.shape(), parameter.dtype(), device);
  };
  Tensor dx, dfilter, dgamma, dbeta, dresidual;
  if (needs[2] || needs[3] || (!constants && (needs[0] || needs[1]))) {
    dgamma = like(mean), dbeta = like(mean);
    BlockParamsIn in;
    in.x = view_of(b.get().defined() ? b : x), in.filter = b.get().defined() ? View{} : view_of(filter);
    in.dy = dy.view(), in.open = view_of(open), in.mean = view_of(mean), in.var = view_of(var);
    run(conv_block_bwd_params, device, dy.dtype(), args, in, BlockParamsOut{out(dgamma), out(dbeta)});
  }
  const bool masks = needs[4] && args.activation != Activation::none;
  if (needs[0] && w.get().defined()) dx = needs.take_sum(0);
  const bool accumulate = dx.defined();
  if (needs[0] && !accumulate) dx = empty(input, dy.dtype(), device);
  if (needs[1]) dfilter = like(filter);
  if (masks) dresidual = empty(dy.shape(), dy.dtype(), device);
  if (needs[0] || needs[1] || masks) {
    BlockGradIn in;
    in.x = view_of(x), in.b = view_of(b), in.w = needs[0] ? view_of(w) : View{}, in.filter = view_of(filter);
    in.dy = dy.view(), in.open = view_of(open), in.mean = view_of(mean), in.var = view_of(var);
    in.gamma = view_of(gamma);
    if (!constants) in.dgamma = view_of(dgamma), in.dbeta = view_of(dbeta);
    run(conv_block_bwd, device, dy.dtype(), args, accumulate, in,
        BlockGradOut{out(dx), out(dfilter), out(dresidual)});
  }
  if (needs[4] && !masks) dresidual = dy;
  return {dx, dfilter, needs[2] ? dgamma : Tensor(), needs[3] ? dbeta : Tensor(), dresidual};
}

// Returns the forward kernel's operands without x, w and filter.
BlockFwdIn rows_of(const ConvBlock& block, const Tensor& mean, const Tensor& var) {
  BlockFwdIn in;
  in.mean = mean.view(), in.var = var.view(), in.gamma = block.gamma.view(), in.beta = block.beta.view();
  in.residual = view_of(block.residual);
  return in;
}

// Computes y from b, if the statistics kernel computed b, else from `made`; y takes b's memory
// unless backward keeps b. Records the op, together with the convolution if goes_back_at_once().
Tensor finish(const std::string& op, const ConvBlock& block, const Tensor& made, const Tensor& b,
              const Tensor& mean, const Tensor& var, bool constants) {
  const bool at_once = goes_back_at_once(block);
  const Tensor& input = at_once ? block.x : made;
  const bool wanted = any_requires_grad({input, block.filter, block.gamma, block.beta, block.residual});
  const bool keeps_b = wanted && b.defined() && (b.bytes() <= kept_bytes || !b.device().is_host());
  Tensor y = b.defined() && !keeps_b ? b : empty(made.shape(), made.dtype(), made.device()), open;
  if (wanted && block.args.activation != Activation::none)
    open = empty(made.shape().with(3, (made.dim(3) + 7) / 8), DType::u8, made.device());
  BlockFwdIn in = rows_of(block, mean, var);
  in.x = view_of(b.defined() ? b : made), in.filter = b.defined() ? View{} : view_of(block.filter);
  run(conv_block_fwd, made.device(), made.dtype(), block.args, in, BlockFwdOut{{}, out(y), out(open)});
  if (!wanted) return y;
  const bool for_filter = requires_grad(block.filter),
             reads_b = requires_grad(block.gamma) || requires_grad(block.beta) ||
                       (!constants && (for_filter || requires_grad(input)));
  const Kept kept{block.args,
                  constants,
                  Saved(for_filter || (reads_b && !keeps_b) ? made : Tensor(), op + ": input"),
                  Saved(keeps_b ? b : Tensor(), op + ": filter's output"),
                  Saved(at_once ? block.w : Tensor(), op + ": convolution's filter"),
                  Saved(block.filter, op + ": filter"),
                  Saved(block.gamma, op + ": gamma"),
                  Saved(mean, op + ": mean"),
                  Saved(var, op + ": variance"),
                  open,
                  input.shape()};
  record(op, {input, block.filter, block.gamma, block.beta, block.residual}, y, kept);
  return y;
}

}  // namespace

BatchNormResult conv_block(const ConvBlock& block) {
  const bool convolves = block.w.defined();
  Tensor made = made_of(block);
  check("conv_block", made, block);
  REPRISE_CHECK(made.numel() / made.dim(3) > 1,
                "conv_block: one value per channel has no variance; use more images in the batch or larger "
                "ones, or normalise with running statistics{}{}",
                operand_line("input", made, "(N,H,W,C)"), operand_line("gamma", block.gamma, "(C)"));
  const auto row = [&] { return empty(block.gamma.shape(), block.gamma.dtype(), made.device()); };
  Tensor mean = row(), var = row(), b;
  if (block.filter.defined()) b = empty(made.shape(), made.dtype(), made.device());
  {
    const ConvScope scope(block);
    const BlockStatsIn in{block.x.view(), view_of(block.w), view_of(block.filter)};
    const BlockStatsOut to{convolves ? out(made) : MutView{}, out(b), out(mean), out(var)};
    run(conv_block_stats, made.device(), made.dtype(), block.args, in, to);
    if (convolves && !goes_back_at_once(block)) record_conv2d(block.x, block.w, block.args.conv, made);
  }
  return {finish("conv_block", block, made, b, mean, var, false), mean, var};
}

Tensor conv_block_eval(const ConvBlock& block, const Tensor& mean, const Tensor& var) {
  if (block.w.defined() &&
      any_requires_grad({block.x, block.w, block.filter, block.gamma, block.beta, block.residual})) {
    ConvBlock rest = block;
    rest.w = {};
    {
      const ConvScope scope(block);
      rest.x = conv2d(block.x, block.w, block.args.conv);
    }
    return conv_block_eval(rest, mean, var);
  }
  Tensor y = made_of(block);
  check_parameters("conv_block_eval", {"input", block.x}, {{"mean", mean}, {"var", var}});
  REPRISE_CHECK(!any_requires_grad({mean, var}),
                "conv_block_eval: the statistics are constants here, but one of them wants a gradient");
  check("conv_block_eval", y, block, mean, var);
  if (!block.w.defined()) return finish("conv_block_eval", block, y, {}, mean, var, true);
  Tensor made = block.filter.defined() ? empty(y.shape(), y.dtype(), y.device()) : Tensor();
  const ConvScope scope(block);
  BlockFwdIn in = rows_of(block, mean, var);
  in.x = block.x.view(), in.w = block.w.view(), in.filter = view_of(block.filter);
  run(conv_block_fwd, y.device(), y.dtype(), block.args, in, BlockFwdOut{out(made), out(y), {}});
  return y;
}

}  // namespace reprise::ops
