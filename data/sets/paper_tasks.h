// The 53 tasks of the CLR paper (Ge et al., ICCV 2023), in the order it learns them.
#pragma once

#include <span>
#include <string_view>

#include "engine/base/export.h"

namespace reprise::data {

struct PaperTask {
  int id;  // in the SKILL/DCT database
  std::string_view name;
  int classes, train, val;  // the number of classes, and of images in the subset that is learned
};

// Returns the tasks in the paper's order.
REPRISE_API std::span<const PaperTask> paper_tasks();

// The word that stands for all of them in a choice of tasks.
inline constexpr std::string_view paper_tasks_name = "paper53";

}  // namespace reprise::data
