#include "engine/ops/operands.h"

namespace reprise::ops {

std::string operand_line(std::string_view name, const Tensor& t, std::string_view layout) {
  if (!t.defined()) return fmt::format("\n  {:<7} (none)", name);
  return fmt::format("\n  {:<7} {}{}{}  {} {}", name, to_string(t.shape()), layout.empty() ? "" : "  ",
                     layout, name_of(t.dtype()), to_string(t.device()));
}

void check_operands(std::string_view op, std::initializer_list<NamedTensor> operands) {
  const auto lines = [&] {
    std::string text;
    for (const NamedTensor& o : operands) text += operand_line(o.name, o.tensor);
    return text;
  };
  const Tensor& first = operands.begin()->tensor;
  for (const NamedTensor& o : operands) {
    REPRISE_CHECK(o.tensor.defined(), "{}: the {} is missing{}", op, o.name, lines());
    REPRISE_CHECK(is_floating(o.tensor.dtype()), "{}: the {} must be a floating tensor{}", op, o.name,
                  lines());
    REPRISE_CHECK(o.tensor.dtype() == first.dtype(), "{}: the {} has another dtype than the {}{}", op, o.name,
                  operands.begin()->name, lines());
    REPRISE_CHECK(o.tensor.device() == first.device(), "{}: the {} is on another device than the {}{}", op,
                  o.name, operands.begin()->name, lines());
  }
}

}  // namespace reprise::ops
