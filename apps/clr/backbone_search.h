// Where the backbone of a learned task is, when nobody says.
#pragma once

#include <string>

#include "apps/clr/task_file.h"

namespace reprise::clr {

// The path of a file that holds the task's backbone: the one that the run's run.json names, else one beside
// the task file or in its run folder. Throws Error listing the places looked at, and why each was not it.
std::string find_backbone(const TaskFile& task);

}  // namespace reprise::clr
