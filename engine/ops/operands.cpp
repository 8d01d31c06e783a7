#include "engine/ops/operands.h"

#include "engine/kernels/run.h"

namespace reprise::ops {
namespace {

template <class Lines>
void check_operand(std::string_view op, const NamedTensor& o, const NamedTensor& first, const Lines& lines) {
  REPRISE_CHECK(o.tensor.defined(), "{}: the {} is missing{}", op, o.name, lines());
  REPRISE_CHECK(is_floating(o.tensor.dtype()), "{}: the {} must be a floating tensor{}", op, o.name, lines());
  REPRISE_CHECK(o.tensor.is_written() || detail::shapes_only(),
                "{}: the {} was never given values; a module gets them from initialize(seed) or "
                "load_state_dict, another tensor from full(), tensor() or copy_into(){}",
                op, o.name, lines());
  REPRISE_CHECK(o.tensor.device() == first.tensor.device(), "{}: the {} is on another device than the {}{}",
                op, o.name, first.name, lines());
}

}  // namespace

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
  const NamedTensor& first = *operands.begin();
  for (const NamedTensor& o : operands) {
    check_operand(op, o, first, lines);
    REPRISE_CHECK(o.tensor.dtype() == first.tensor.dtype(), "{}: the {} has another dtype than the {}{}", op,
                  o.name, first.name, lines());
  }
}

void check_parameters(std::string_view op, const NamedTensor& images,
                      std::initializer_list<NamedTensor> parameters) {
  check_operands(op, {images});
  const DType wanted = parameter_dtype(images.tensor.dtype());
  for (const NamedTensor& p : parameters) {
    const auto lines = [&] {
      return operand_line(images.name, images.tensor) + operand_line(p.name, p.tensor);
    };
    check_operand(op, p, images, lines);
    REPRISE_CHECK(p.tensor.dtype() == wanted,
                  "{}: the {} has another dtype than the {}{}   expects {} beside a {} {}", op, p.name,
                  images.name, lines(), name_of(wanted), name_of(images.tensor.dtype()), images.name);
  }
}

}  // namespace reprise::ops
