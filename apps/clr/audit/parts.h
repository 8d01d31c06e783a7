// The parts of `clr audit`, one a file.
#pragma once

#include "apps/clr/commands/command.h"
#include "engine/autograd/gradcheck.h"
#include "engine/cases/cases.h"

namespace reprise::clr {

// Adds a part's subcommand with its options, and the function that runs it when it is called.
using AddPart = void(Command audit, Common& common);
AddPart add_audit_ops, add_audit_grad, add_audit_layers, add_audit_repeat, add_audit_drift, add_audit_nan,
    add_audit_verify, add_audit_margin;

struct GradientRow {
  std::string name;
  std::int64_t tensors = 0, elements = 0;
  GradCheckResult result;
};
// Checks all small cases of an op; the row has no elements if the op has no gradient.
GradientRow check_op(const cases::OpCases& op);
void print_gradients(const std::vector<GradientRow>& rows, const Common& common);

}  // namespace reprise::clr
