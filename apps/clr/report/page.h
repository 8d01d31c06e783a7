// The report: one HTML page about one or several runs.
#pragma once

#include <string>
#include <vector>

#include "apps/clr/report/html.h"
#include "apps/clr/report/run_data.h"

namespace reprise::clr {

// Returns the page, which needs no other file. The same runs give the same bytes if the images
// still lie where they were evaluated.
std::string report_page(const std::vector<ReportedRun>& runs);

// Writes what margins.json says of each run; nothing if no run has that file. Throws Error if it is damaged.
void write_margin_section(Html& html, const std::vector<ReportedRun>& runs);

struct TaskSectionOptions {
  int number = 1;            // of the task, for the anchor "task<number>"
  bool open = false;         // unfolded
  int thumbnail_size = 64;   // height and width in pixels
  std::size_t pictures = 6;  // at most so many images, and so many mistakes, of each run
};
// Writes a section that can be folded, with the task in every run that learned it.
void write_task_section(Html& html, const std::string& task, const std::vector<ReportedRun>& runs,
                        const TaskSectionOptions& options);

}  // namespace reprise::clr
