// A task's images, found, checked and decoded before anything trains on them.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "data/loader/check_readable.h"

namespace reprise::clr {

struct TaskData {
  data::Task task;
  data::TaskImages images;
  std::map<std::string, std::string> digests;  // per split that has images: labels and pixels
  // "train", "val" or "test"; null where the split has no images.
  const data::ImageStore* split(const std::string& name) const;
};

struct DataOptions {
  std::string dir;
  data::SetOptions sets;
  int size = 0;           // pixels
  std::string cache_dir;  // for decoded pixels that memory cannot hold
  bool quiet = false;
  std::function<bool()> wants_stop;  // asked before every image; empty: never
};
// What data/loader is to call between two images: throws Interrupted where a stop is wanted.
data::Progress stopping(std::function<bool()> wants_stop);

// All tasks, every image decoded once. What cannot be read is listed on standard error with its reason; then
// Error, or with skip_bad it is left out. Throws Interrupted between two images where a stop is wanted.
std::vector<TaskData> load_tasks(const DataOptions& options);

// Lists a task's notes (unless quiet) and what cannot be read; returns how many files that are.
std::size_t report_task(const data::Task& task, bool skip_bad, bool quiet);

}  // namespace reprise::clr
