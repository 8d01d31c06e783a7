// Draws small example tasks into class folders, so that the whole program can be tried without any data.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/clr/demo/demo_tasks.h"

namespace reprise::clr {

struct DemoDataOptions {
  int count = 6;    // tasks, at most demo_task_names().size()
  int images = 40;  // of every class; the first task, meant for pretraining, has three times as many
  int size = 32;    // pixels a side
  std::uint64_t seed = 0;
};

// All tasks there are, in the order drawn. The names sort in this order too.
std::vector<std::string> demo_task_names();

// Writes dir/<task>/<class>/<number>.png. Throws Error where `dir` is not empty or an option out of range.
void write_demo_data(const std::string& dir, const DemoDataOptions& options);

// One of those images: the same options always draw the same pixels, whatever else is drawn.
data::Image draw_demo_image(const DemoTask& task, int label, int index, const DemoDataOptions& options);

}  // namespace reprise::clr
