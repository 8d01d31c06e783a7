#include "engine/ops/batch_norm.h"

#include "engine/autograd/record.h"
#include "engine/kernels/run.h"
#include "engine/ops/arithmetic.h"
#include "engine/ops/error_bound.h"
#include "engine/ops/operands.h"

namespace reprise::ops {
namespace {

// Checks that every statistic and parameter in `rows` has the shape (C).
void check(const char* op, const Tensor& x, std::initializer_list<NamedTensor> rows) {
  const auto lines = [&] {
    std::string text = operand_line("input", x, "(...,C)");
    for (const NamedTensor& r : rows) text += operand_line(r.name, r.tensor, "(C)");
    return text;
  };
  for (const NamedTensor& r : rows) {
    check_parameters(op, {"input", x}, {r});
    REPRISE_CHECK(x.rank() >= 2 && r.tensor.rank() == 1,
                  "{}: expected an input of rank 2 or more and statistics of rank 1{}", op, lines());
    REPRISE_CHECK(r.tensor.dim(0) == x.dim(-1) && x.dim(-1) >= 1,
                  "{}: the input's channels do not match the {}; make the layer for C = {}{}", op, r.name,
                  x.dim(-1), lines());
  }
}

struct ParameterGradients {
  Tensor gamma, beta;
};
ParameterGradients parameter_gradients(const BatchNormArgs& args, const Tensor& x, const Tensor& dy,
                                       const Tensor& mean, const Tensor& var) {
  Tensor dgamma = empty(mean.shape(), mean.dtype(), dy.device()),
         dbeta = empty(mean.shape(), mean.dtype(), dy.device());
  run(kernels::batch_norm_bwd_params, dy.device(), dy.dtype(), args, x.view(), dy.view(), mean.view(),
      var.view(), dgamma.mut_view(), dbeta.mut_view());
  return {dgamma, dbeta};
}

Tensor normalized(const BatchNormArgs& args, const Tensor& x, const Tensor& mean, const Tensor& var,
                  const Tensor& gamma, const Tensor& beta) {
  Tensor y = empty(x.shape(), x.dtype(), x.device());
  run(kernels::batch_norm_fwd, y.device(), y.dtype(), args, x.view(), mean.view(), var.view(), gamma.view(),
      beta.view(), y.mut_view());
  return y;
}

}  // namespace

// y = xhat gamma + beta,   xhat = (x - mean) / sqrt(var + eps),   M values per channel.
// dgamma = sum dy xhat,   dbeta = sum dy,
// dx = gamma / sqrt(var + eps) (dy - dbeta / M - xhat dgamma / M).
// The mean is off by M u (mean |x|), var by (M + 3) u of it; for the rest see batch_norm_eval.
BatchNormResult batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                           const BatchNormArgs& args) {
  check("batch_norm", x, {{"gamma", gamma}, {"beta", beta}});
  REPRISE_CHECK(x.numel() / gamma.numel() > 1,
                "batch_norm: one value per channel has no variance; use more images in the batch or larger "
                "ones, or normalise with running statistics{}{}",
                operand_line("input", x, "(...,C)"), operand_line("gamma", gamma, "(C)"));
  Tensor mean = empty(gamma.shape(), gamma.dtype(), x.device()),
         var = empty(gamma.shape(), gamma.dtype(), x.device());
  run(kernels::batch_norm_stats, x.device(), x.dtype(), x.view(), mean.mut_view(), var.mut_view());
  const Tensor y = normalized(args, x, mean, var, gamma, beta);
  if (any_requires_grad({x, gamma, beta})) {
    const Saved saved_x(x, "batch_norm: input"), saved_gamma(gamma, "batch_norm: gamma"),
        saved_mean(mean, "batch_norm: mean"), saved_var(var, "batch_norm: variance");
    record("batch_norm", {x, gamma, beta}, y, [=](const Tensor& dy, const Needs& needs) {
      const auto [dgamma, dbeta] = parameter_gradients(args, saved_x, dy, saved_mean, saved_var);
      Tensor dx;
      if (needs[0]) {
        dx = empty(dy.shape(), dy.dtype(), dy.device());
        run(kernels::batch_norm_bwd_train, dy.device(), dy.dtype(), args, saved_x.get().view(), dy.view(),
            saved_mean.get().view(), saved_var.get().view(), saved_gamma.get().view(), dgamma.view(),
            dbeta.view(), dx.mut_view());
      }
      return std::vector{dx, dgamma, dbeta};
    });
  }
  ErrorBounds::tell("batch_norm", y, [&] {
    Tensor size = empty(mean.shape(), mean.dtype(), x.device()), spread = size.clone();
    run(kernels::batch_norm_stats, x.device(), x.dtype(), absolute(x).view(), size.mut_view(),
        spread.mut_view());
    const auto count = static_cast<double>(x.numel() / gamma.numel());
    ErrorTerms terms = stored_error(1, y, y);
    terms.push_back({ErrorTerm::Kind::f32, 6 + (count + 3) / 2, sub(y, beta)});
    terms.push_back({ErrorTerm::Kind::f32, count,
                     normalized(args, zeros(x.shape(), x.dtype(), x.device()), affine(size, -1, 0), var,
                                absolute(gamma), zeros(gamma.shape(), gamma.dtype(), x.device()))});
    return terms;
  });
  return {y, mean, var};
}

// y = (x - mean) / sqrt(var + eps) gamma + beta.
// dx = gamma / sqrt(var + eps) dy;   dgamma and dbeta as above.
// x - mean, its scale (eps, sum, root, quotient) and their product: 6 roundings of |y - beta|; 1 of |y|.
Tensor batch_norm_eval(const Tensor& x, const Tensor& mean, const Tensor& var, const Tensor& gamma,
                       const Tensor& beta, const BatchNormArgs& args) {
  check("batch_norm_eval", x, {{"mean", mean}, {"var", var}, {"gamma", gamma}, {"beta", beta}});
  REPRISE_CHECK(!any_requires_grad({mean, var}),
                "batch_norm_eval: the statistics are constants here, but one of them wants a gradient");
  const Tensor y = normalized(args, x, mean, var, gamma, beta);
  if (any_requires_grad({x, gamma, beta})) {
    const bool for_parameters = requires_grad(gamma) || requires_grad(beta);
    const Saved saved_x(for_parameters ? x : Tensor(), "batch_norm_eval: input"),
        saved_mean(for_parameters ? mean : Tensor(), "batch_norm_eval: mean"),
        saved_var(var, "batch_norm_eval: variance"),
        saved_gamma(requires_grad(x) ? gamma : Tensor(), "batch_norm_eval: gamma");
    record("batch_norm_eval", {x, gamma, beta}, y, [=](const Tensor& dy, const Needs& needs) {
      Tensor dx;
      if (needs[0]) {
        dx = empty(dy.shape(), dy.dtype(), dy.device());
        run(kernels::batch_norm_bwd_eval, dy.device(), dy.dtype(), args, dy.view(), saved_var.get().view(),
            saved_gamma.get().view(), dx.mut_view());
      }
      if (!for_parameters) return std::vector{dx, Tensor(), Tensor()};
      const auto [dgamma, dbeta] = parameter_gradients(args, saved_x, dy, saved_mean, saved_var);
      return std::vector{dx, dgamma, dbeta};
    });
  }
  ErrorBounds::tell("batch_norm_eval", y, [&] {
    ErrorTerms terms = stored_error(1, y, y);
    terms.push_back({ErrorTerm::Kind::f32, 6, sub(y, beta)});
    return terms;
  });
  return y;
}

void update_running_stats(const BatchNormResult& batch, std::int64_t count, Tensor& running_mean,
                          Tensor& running_var, const BatchNormArgs& args) {
  check_operands("update_running_stats", {{"mean", batch.mean},
                                          {"var", batch.var},
                                          {"running mean", running_mean},
                                          {"running var", running_var}});
  REPRISE_CHECK(batch.mean.shape() == running_mean.shape() && batch.mean.shape() == running_var.shape(),
                "update_running_stats: the shapes differ{}{}{}", operand_line("batch", batch.mean),
                operand_line("mean", running_mean), operand_line("var", running_var));
  REPRISE_CHECK(count > 1, "update_running_stats: expected at least 2 values per channel, got {}", count);
  run(kernels::update_running_stats, running_mean.device(), running_mean.dtype(), args, count,
      batch.mean.view(), batch.var.view(), running_mean.mut_view(), running_var.mut_view());
}

}  // namespace reprise::ops
