// The commands of clr, one a file: each adds its subcommand with options, and what to do when it is called.
#pragma once

#include "apps/clr/commands/command.h"

namespace reprise::clr {

using AddCommand = void(CLI::App& app, Common& common);
AddCommand add_train, add_eval, add_predict, add_forward, add_pretrain, add_tasks, add_info, add_convert,
    add_report, add_reproduce, add_audit, add_demo_data;

// Prints the cost of a task by a method, or by "all", on an architecture; size 0: the architecture's own.
void print_costs(const Common& common, const std::string& arch, const std::string& method, int classes,
                 int size);

}  // namespace reprise::clr
