#include "engine/ops/softmax.h"

#include <cmath>

#include "engine/autograd/record.h"
#include "engine/kernels/run.h"
#include "engine/ops/arithmetic.h"
#include "engine/ops/error_bound.h"
#include "engine/ops/operands.h"
#include "engine/ops/reduce.h"

namespace reprise::ops {
namespace {

void check_matrix(const char* op, const Tensor& x) {
  check_operands(op, {{"input", x}});
  REPRISE_CHECK(x.rank() == 2 && x.dim(1) >= 1, "{}: expected a matrix with at least one column{}", op,
                operand_line("input", x, "(M,C)"));
}

void check_labels(const Tensor& logits, const Tensor& labels) {
  check_operands("cross_entropy", {{"logits", logits}});
  const auto lines = [&] {
    return operand_line("logits", logits, "(N,C)") + operand_line("labels", labels, "(N)");
  };
  REPRISE_CHECK(logits.rank() == 2 && logits.dim(0) >= 1 && logits.dim(1) >= 1,
                "cross_entropy: expected logits of rank 2, with a row and a column at least{}", lines());
  REPRISE_CHECK(labels.defined() && labels.dtype() == DType::i64 && labels.shape() == Shape{logits.dim(0)},
                "cross_entropy: expected one label (i64) for each row{}", lines());
  REPRISE_CHECK(labels.device() == logits.device(),
                "cross_entropy: the labels are on another device than the logits{}", lines());
  if (!labels.device().is_host()) return;
  const auto values = labels.values<std::int64_t>();
  for (std::size_t i = 0; i < values.size(); ++i)
    REPRISE_CHECK(values[i] >= 0 && values[i] < logits.dim(1),
                  "cross_entropy: label {} of row {} is not in 0..{}{}", values[i], i, logits.dim(1) - 1,
                  lines());
}

}  // namespace

// y = exp(x) / sum exp(x) along each row.   dx = y (dy - sum dy y).
Tensor softmax(const Tensor& x) {
  check_matrix("softmax", x);
  Tensor y = empty(x.shape(), x.dtype(), x.device());
  run(kernels::softmax_fwd, y.device(), y.dtype(), x.view(), y.mut_view());
  if (any_requires_grad({x})) {
    record("softmax", {x}, y, [saved = Saved(y, "softmax: output")](const Tensor& dy, const Needs&) {
      Tensor dx = empty(dy.shape(), dy.dtype(), dy.device());
      run(kernels::softmax_bwd, dy.device(), dy.dtype(), saved.get().view(), dy.view(), dx.mut_view());
      return std::vector{dx};
    });
  }
  return y;
}

// y = x - log sum exp(x) along each row.   dx = dy - exp(y) sum dy.
Tensor log_softmax(const Tensor& x) {
  check_matrix("log_softmax", x);
  Tensor y = empty(x.shape(), x.dtype(), x.device());
  run(kernels::log_softmax_fwd, y.device(), y.dtype(), x.view(), y.mut_view());
  if (any_requires_grad({x})) {
    record("log_softmax", {x}, y, [saved = Saved(y, "log_softmax: output")](const Tensor& dy, const Needs&) {
      Tensor dx = empty(dy.shape(), dy.dtype(), dy.device());
      run(kernels::log_softmax_bwd, dy.device(), dy.dtype(), saved.get().view(), dy.view(), dx.mut_view());
      return std::vector{dx};
    });
  }
  return y;
}

// y = mean of -log softmax(x)[label].   dx = (softmax(x) - onehot(label)) dy / rows.
// A row of C logits: u (C + 8 + 4 sum |log softmax|), of the sum, its exponentials and its logarithm.
// With smoothing s:   (1 - s) y + s (mean of -log softmax(x) over all classes).
Tensor cross_entropy(const Tensor& logits, const Tensor& labels, double smoothing) {
  check_labels(logits, labels);
  REPRISE_CHECK(smoothing >= 0 && smoothing <= 1, "cross_entropy: expected a smoothing in [0, 1], got {}",
                smoothing);
  if (smoothing > 0)
    return (1 - smoothing) * cross_entropy(logits, labels) - smoothing * mean(log_softmax(logits));
  Tensor log_probs = empty(logits.shape(), logits.dtype(), logits.device());
  run(kernels::log_softmax_fwd, logits.device(), logits.dtype(), logits.view(), log_probs.mut_view());
  Tensor y = empty(Shape{}, logits.dtype(), logits.device());
  run(kernels::nll_fwd, logits.device(), logits.dtype(), log_probs.view(), labels.view(), y.mut_view());
  if (any_requires_grad({logits})) {
    record("cross_entropy", {logits}, y,
           [saved = Saved(log_probs, "cross_entropy: log probabilities"),
            saved_labels = Saved(labels, "cross_entropy: labels")](const Tensor& dy, const Needs&) {
             const Tensor& kept = saved;
             Tensor dx = empty(kept.shape(), dy.dtype(), dy.device());
             run(kernels::cross_entropy_bwd, dy.device(), dy.dtype(), kept.view(), saved_labels.get().view(),
                 dy.view(), dx.mut_view());
             return std::vector{dx};
           });
  }
  ErrorBounds::tell("cross_entropy", y, [&] {
    double size =
        static_cast<double>(logits.dim(1) + 8) + (static_cast<double>(logits.dim(0)) + 1) * y.item();
    for (std::int64_t i = 0; i < logits.numel(); ++i)
      size += 4 * std::abs(log_probs.view().value(i)) / static_cast<double>(logits.dim(0));
    return ErrorTerms{{ErrorTerm::Kind::f32, 1, full(Shape{}, size, y.dtype(), y.device())}};
  });
  return y;
}

// Records nothing: the result is integer, so no gradient can flow through it.
Tensor argmax_rows(const Tensor& x) {
  check_matrix("argmax_rows", x);
  Tensor y = empty({x.dim(0)}, DType::i64, x.device());
  run(kernels::argmax_rows, x.device(), x.dtype(), x.view(), y.mut_view());
  return y;
}

}  // namespace reprise::ops
