// Draws small example tasks into class folders, so that the program can be tried without any data.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/clr/demo/demo_tasks.h"

namespace reprise::clr {

struct DemoDataOptions {
  int count = 6;    // number of tasks, at most demo_task_names().size()
  int images = 40;  // in every class; the first task, meant for pretraining, has three times as many
  int size = 32;    // height and width in pixels
  std::uint64_t seed = 0;
};

// Returns the names of all tasks, in the order in which they are drawn and sorted.
std::vector<std::string> demo_task_names();

// Writes dir/<task>/<class>/<number>.png. Throws Error if
// `dir` is not empty or an option is out of range.
void write_demo_data(const std::string& dir, const DemoDataOptions& options);

// Draws image `index` of class `label`. The same options
// always give the same pixels, whatever else is drawn.
data::Image draw_demo_image(const DemoTask& task, int label, int index, const DemoDataOptions& options);

}  // namespace reprise::clr
