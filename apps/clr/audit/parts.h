// The parts of `clr audit`: each adds its subcommand with options, and what to do when it is called.
#pragma once

#include "apps/clr/commands/command.h"

namespace reprise::clr {

using AddPart = void(CLI::App& audit, Common& common);
AddPart add_audit_ops, add_audit_grad, add_audit_layers, add_audit_repeat, add_audit_drift, add_audit_nan,
    add_audit_verify;

}  // namespace reprise::clr
