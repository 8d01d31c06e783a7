// Where the backbone of a learned task is, when nobody says.
#pragma once

#include <string>

#include "apps/clr/learn/task_file.h"

namespace reprise::clr {

// The path of a file that holds the task's backbone: the one that the run's run.json names, else one beside
// the task file or in its run folder. Throws Error listing the places looked at, and why each was not it.
std::string find_backbone(const TaskFile& task);

// The task's backbone, of the file at `path` or, where that is empty, of the one found; the architecture
// alone for a task that was learned without.
Backbone backbone_of(const TaskFile& task, const std::string& path, Device device, DType dtype);

}  // namespace reprise::clr
