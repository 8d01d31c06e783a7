// The checks that all ops share. Private to ops/.
#pragma once

#include <initializer_list>
#include <string>

#include "engine/base/check.h"
#include "engine/core/tensor.h"

namespace reprise::ops {

// Returns an operand's line of an error message: "\n  input   [32, 16, 8, 8]  (N,H,W,C)  f32 cpu".
std::string operand_line(std::string_view name, const Tensor& t, std::string_view layout = {});

// Return the view of an operand, empty if it is absent.
inline View view_of(const Tensor& t) {
  return t.defined() ? t.view() : View{};
}
inline MutView out(Tensor& t) {
  return t.defined() ? t.mut_view() : MutView{};
}

struct NamedTensor {
  std::string_view name;
  const Tensor& tensor;
};
// Throws Error, naming the op and every operand, unless all are defined, floating,
// of one dtype and on one device. Callers leave out optional operands that are absent.
void check_operands(std::string_view op, std::initializer_list<NamedTensor> operands);
// Checks the same for parameters or statistics, whose dtype must be parameter_dtype of the images'.
void check_parameters(std::string_view op, const NamedTensor& images,
                      std::initializer_list<NamedTensor> parameters);

}  // namespace reprise::ops
