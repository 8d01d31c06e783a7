// A task's images, found, checked and decoded before anything trains on them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "data/loader/check_readable.h"

namespace CLI {
class App;
}

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
};

// All tasks, every image decoded once. What cannot be read is listed on standard error with its reason; then
// Error, or with skip_bad it is left out. Throws Interrupted between two images after a signal.
std::vector<TaskData> load_tasks(const DataOptions& options);

// Throws Interrupted after a signal; to be called between two images.
void stop_if_asked(std::int64_t done, std::int64_t total);
// What --data takes.
inline constexpr const char* data_help =
    "class folders, a list of images, or the folder of a SKILL/DCT database";
// The options of splits: --val-fraction, --max-images, --skip-bad.
void add_split_options(CLI::App& command, data::SetOptions& sets);
// Lists a task's notes (unless quiet) and what cannot be read; returns how many files that are.
std::size_t report_task(const data::Task& task, bool skip_bad, bool quiet);

}  // namespace reprise::clr
