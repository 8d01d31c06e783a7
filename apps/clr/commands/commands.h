// The commands of clr, one a file.
#pragma once

#include "apps/clr/commands/command.h"

namespace reprise::clr {

struct TaskMap;

// Adds a subcommand with its options, and the function that runs it when it is called.
using AddCommand = void(Command app, Common& common);
AddCommand add_train, add_eval, add_predict, add_forward, add_pretrain, add_tasks, add_info, add_convert,
    add_map, add_report, add_reproduce, add_audit, add_demo_data;

// Prints what a task with so many classes costs with a method, or with "all", on an architecture.
// `size`: image height and width in pixels; 0: the architecture's default.
void print_costs(const Common& common, const std::string& arch, const std::string& method, int classes,
                 int size);

// Returns the map's tasks and what they cost as a table; `nearest` as calibrate() returns it, or nothing.
std::string table_of_map(const TaskMap& map, const std::vector<double>& nearest = {});

}  // namespace reprise::clr
