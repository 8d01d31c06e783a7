// Checks that every op makes, in one place. Private to ops/.
#pragma once

#include <initializer_list>
#include <string>

#include "engine/base/check.h"
#include "engine/core/tensor.h"

namespace reprise::ops {

// A line of an error message: "\n  input   [32, 16, 8, 8]  (N,H,W,C)  f32 cpu".
std::string operand_line(std::string_view name, const Tensor& t, std::string_view layout = {});

// The views of an operand that may be absent.
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
// All defined (an absent optional operand is not listed), floating, of one dtype, on one device; Error naming
// the op and every operand otherwise.
void check_operands(std::string_view op, std::initializer_list<NamedTensor> operands);
// The same of parameters or statistics beside `images`, whose dtype says theirs (parameter_dtype).
void check_parameters(std::string_view op, const NamedTensor& images,
                      std::initializer_list<NamedTensor> parameters);

}  // namespace reprise::ops
