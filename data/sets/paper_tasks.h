// The 53 tasks of the CLR paper (Ge et al., ICCV 2023), in the order it learns them.
#pragma once

#include <span>
#include <string_view>

#include "engine/base/export.h"

namespace reprise::data {

struct PaperTask {
  int id;  // in the SKILL/DCT database
  std::string_view name;
  int classes, train, val;  // classes, and images in the subset that is learned
};

REPRISE_API std::span<const PaperTask> paper_tasks();

// What stands for all of them in a choice of tasks.
inline constexpr std::string_view paper_tasks_name = "paper53";

}  // namespace reprise::data
