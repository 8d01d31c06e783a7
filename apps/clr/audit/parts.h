// The parts of `clr audit`: each adds its subcommand with options, and what to do when it is called.
#pragma once

#include <CLI/CLI.hpp>

#include "apps/clr/commands/common.h"

namespace reprise::clr {

void add_audit_ops(CLI::App& audit, Common& common);
void add_audit_grad(CLI::App& audit, Common& common);
void add_audit_layers(CLI::App& audit, Common& common);
void add_audit_repeat(CLI::App& audit, Common& common);
void add_audit_drift(CLI::App& audit, Common& common);
void add_audit_nan(CLI::App& audit, Common& common);
void add_audit_verify(CLI::App& audit, Common& common);

}  // namespace reprise::clr
