// The parts of `clr audit`, one a file.
#pragma once

#include "apps/clr/commands/command.h"

namespace reprise::clr {

// Adds a part's subcommand with its options, and the function that runs it when it is called.
using AddPart = void(Command audit, Common& common);
AddPart add_audit_ops, add_audit_grad, add_audit_layers, add_audit_repeat, add_audit_drift, add_audit_nan,
    add_audit_verify, add_audit_margin;

}  // namespace reprise::clr
