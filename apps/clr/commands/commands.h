// The commands of clr, one a file: each adds its subcommand with options, and what to do when it is called.
#pragma once

#include <CLI/CLI.hpp>

#include "apps/clr/commands/common.h"

namespace reprise::clr {

void add_train(CLI::App& app, Common& common);
void add_eval(CLI::App& app, Common& common);
void add_predict(CLI::App& app, Common& common);
void add_forward(CLI::App& app, Common& common);
void add_pretrain(CLI::App& app, Common& common);
void add_tasks(CLI::App& app, Common& common);
void add_info(CLI::App& app, Common& common);
// The cost of a task by method, or of "all", on an architecture; size 0: the architecture's own.
struct CostQuestion {
  std::string arch, method;
  int classes = 10, size = 0;
};
void print_costs(const Common& common, const CostQuestion& question);
void add_convert(CLI::App& app, Common& common);
void add_reproduce(CLI::App& app, Common& common);
void add_report(CLI::App& app, Common& common);
void add_audit(CLI::App& app, Common& common);
void add_demo_data(CLI::App& app, Common& common);

}  // namespace reprise::clr
