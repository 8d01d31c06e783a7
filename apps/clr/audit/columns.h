// The columns of a table: the same command with other devices, dtypes and switches of the engine.
#pragma once

#include <span>

#include "apps/clr/audit/child.h"
#include "apps/clr/commands/command.h"

namespace reprise::clr {

struct Column {
  std::string title, device, dtype;
  Environment switches;
};
// Returns the columns that this machine and build can compute. Says why of the others, unless quiet.
std::vector<const Column*> present_columns(std::span<const Column> columns, const Common& common);
// Runs this process's command for one column in a process of its own, with --only and --json.
// Returns the object that the process prints.
Json run_column(const Column& column);

}  // namespace reprise::clr
