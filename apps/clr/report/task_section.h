// What the report says of one task: curves, confusion, mistakes, filters.
#pragma once

#include <string>
#include <vector>

#include "apps/clr/report/html.h"
#include "apps/clr/report/run_data.h"

namespace reprise::clr {

struct TaskSectionOptions {
  int number = 1;           // of the task, for its anchor
  bool open = false;        // unfolded
  int thumbnail_size = 64;  // pixels
  std::size_t pictures = 6;
};
// A folded section with the task in every run that learned it.
void write_task_section(Html& html, const std::string& task, const std::vector<ReportedRun>& runs,
                        const TaskSectionOptions& options);

}  // namespace reprise::clr
