// The report: one HTML page about one or several runs.
#pragma once

#include <string>
#include <vector>

#include "apps/clr/report/html.h"
#include "apps/clr/report/run_data.h"

namespace reprise::clr {

// Self-contained. The same runs give the same bytes, as long as the images lie where they were evaluated.
std::string report_page(const std::vector<ReportedRun>& runs);

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
