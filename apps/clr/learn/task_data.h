// Finds, checks and decodes the images of all tasks before the first task trains.
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
  std::map<std::string, std::string> digests;  // SHA-256 of labels and pixels, by split with images
  // Returns the images of "train", "val" or "test"; null if the split has none.
  const data::ImageStore* split(const std::string& name) const;
};

struct DataOptions {
  std::string dir;  // the data folder
  data::SetOptions sets;
  int size = 0;           // image height and width in pixels
  std::string cache_dir;  // for decoded pixels that memory cannot hold
  bool quiet = false;
  std::function<bool()> wants_stop;  // called before every image; empty: never stop
};
// Returns the function that data/loader calls between two
// images: it throws Interrupted if wants_stop() is true.
data::Progress stopping(std::function<bool()> wants_stop);

// Finds all tasks and decodes every image once. Lists each unreadable file with its reason on
// standard error; then throws Error, or with skip_bad leaves these files out. Throws Interrupted
// between two images if a stop is wanted.
std::vector<TaskData> load_tasks(const DataOptions& options);

// Prints the task's unreadable files and (unless quiet) its notes on standard error.
// Returns the number of these files.
std::size_t report_task(const data::Task& task, bool skip_bad, bool quiet);

}  // namespace reprise::clr
