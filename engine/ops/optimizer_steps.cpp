#include "engine/ops/optimizer_steps.h"

#include "engine/kernels/run.h"
#include "engine/ops/operands.h"

namespace reprise::ops {
namespace {

void check_shapes(const char* op, std::initializer_list<NamedTensor> operands) {
  check_operands(op, operands);
  const Tensor& first = operands.begin()->tensor;
  for (const NamedTensor& o : operands)
    REPRISE_CHECK(o.tensor.shape() == first.shape(), "{}: the {} does not have the parameter's shape{}{}", op,
                  o.name, operand_line("param", first), operand_line("given", o.tensor));
}

}  // namespace

void sgd_step(Tensor& parameter, const Tensor& gradient, Tensor& momentum, const SgdArgs& args) {
  if (args.momentum != 0)
    check_shapes("sgd_step", {{"param", parameter}, {"grad", gradient}, {"moment", momentum}});
  else
    check_shapes("sgd_step", {{"param", parameter}, {"grad", gradient}});
  run(kernels::sgd_step, parameter.device(), parameter.dtype(), args, gradient.view(), parameter.mut_view(),
      momentum.mut_view());
}

void adam_step(Tensor& parameter, const Tensor& gradient, Tensor& m, Tensor& v, const AdamArgs& args) {
  check_shapes("adam_step", {{"param", parameter}, {"grad", gradient}, {"m", m}, {"v", v}});
  REPRISE_CHECK(args.step >= 1, "adam_step: steps count from 1, got {}", args.step);
  run(kernels::adam_step, parameter.device(), parameter.dtype(), args, gradient.view(), parameter.mut_view(),
      m.mut_view(), v.mut_view());
}

}  // namespace reprise::ops
