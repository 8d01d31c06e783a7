#include "engine/ops/optimizer_steps.h"

#include <cmath>

#include "engine/kernels/run.h"
#include "engine/ops/operands.h"

namespace reprise::ops {
namespace {

// Checks the updates' tensors and lists them by operand of the kernels.
struct Lists {
  Lists(const char* op, std::vector<Update>& updates, const Tensor& rates, std::int64_t numbers,
        std::initializer_list<std::string_view> buffer_names)
      : buffers(buffer_names.size()) {
    for (Update& u : updates) {
      check_same(op, u, "grad", u.gradient);
      REPRISE_CHECK(u.buffers.size() == buffers.size(), "{}: expected {} buffers, got {}", op, buffers.size(),
                    u.buffers.size());
      for (std::size_t b = 0; b < buffers.size(); ++b) {
        check_same(op, u, buffer_names.begin()[b], u.buffers[b]);
        buffers[b].push_back(u.buffers[b].mut_view());
      }
      check_operands(op, {{"param", u.parameter}, {"first param", updates[0].parameter}});
      REPRISE_CHECK(
          rates.dtype() == DType::f64 && rates.numel() == numbers && rates.device() == u.parameter.device(),
          "{}: expected {} rates (f64) on the parameters' device{}{}", op, numbers,
          operand_line("param", u.parameter), operand_line("rates", rates));
      gradients.push_back(u.gradient.view());
      norms.push_back(u.norms.view());
      parameters.push_back(u.parameter.mut_view());
    }
  }
  static void check_same(const char* op, const Update& u, std::string_view name, const Tensor& t) {
    check_operands(op, {{"param", u.parameter}, {name, t}});
    REPRISE_CHECK(t.shape() == u.parameter.shape(), "{}: the {} does not have the parameter's shape{}{}", op,
                  name, operand_line("param", u.parameter), operand_line("given", t));
  }
  std::vector<View> gradients, norms;
  std::vector<MutView> parameters;
  std::vector<std::vector<MutView>> buffers;
};

}  // namespace

Tensor sgd_rates(double lr, bool first) {
  const double rates[] = {lr, first ? 1.0 : 0.0};
  return tensor({2}, std::span<const double>(rates));
}

Tensor adam_rates(double lr, std::int64_t step, const AdamArgs& a) {
  REPRISE_CHECK(step >= 1, "adam_step: steps count from 1, got {}", step);
  const auto t = static_cast<double>(step);
  const double rates[] = {lr, 1 - std::pow(a.beta1, t), 1 - std::pow(a.beta2, t)};
  return tensor({3}, std::span<const double>(rates));
}

void sgd_step(std::vector<Update>& updates, const Tensor& rates, const SgdArgs& args) {
  if (updates.empty()) return;
  const bool remembers = args.momentum != 0;
  const Lists lists("sgd_step", updates, rates, 2,
                    remembers ? std::initializer_list<std::string_view>{"momentum"}
                              : std::initializer_list<std::string_view>{});
  const Tensor& first = updates[0].parameter;
  run(kernels::sgd_step, first.device(), first.dtype(), args, rates.view(), Views(lists.gradients),
      Views(lists.norms), MutViews(lists.parameters), remembers ? MutViews(lists.buffers[0]) : MutViews());
}

void adam_step(std::vector<Update>& updates, const Tensor& rates, const AdamArgs& args) {
  if (updates.empty()) return;
  const Lists lists("adam_step", updates, rates, 3, {"m", "v"});
  const Tensor& first = updates[0].parameter;
  run(kernels::adam_step, first.device(), first.dtype(), args, rates.view(), Views(lists.gradients),
      Views(lists.norms), MutViews(lists.parameters), MutViews(lists.buffers[0]), MutViews(lists.buffers[1]));
}

}  // namespace reprise::ops
