// Finds and checks the images of the tasks, and decodes those of one task when it is to be trained.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "data/loader/check_readable.h"

namespace reprise::clr {

struct TaskData {
  data::Task task;
  std::string files_digest;                    // SHA-256 of what was found: see files_digest_of
  data::TaskImages images;                     // empty until decoded
  std::map<std::string, std::string> digests;  // SHA-256 of labels and pixels, by split with images
  // Returns the images of "train", "val" or "test"; null if the split has none.
  const data::ImageStore* split(const std::string& name) const;
  bool decoded() const { return images.train != nullptr; }
};

struct DataOptions {
  std::string dir;  // the data folder
  data::SetOptions sets;
  int size = 0;  // image height and width in pixels
  bool quiet = false;
  std::function<bool()> wants_stop;  // called before every image; empty: never stop
};
// Returns the function that data/loader calls between two
// images: it throws Interrupted if wants_stop() is true.
data::Progress stopping(std::function<bool()> wants_stop);

// Returns the SHA-256 of the classes, and of split, label, path in the class and size of each file.
// It tells changed data without reading them.
std::string files_digest_of(const data::Task& task);

// Finds all tasks and computes their files_digest.
std::vector<TaskData> find_task_data(const DataOptions& options);
// Reads the header of every image of these tasks. Lists each unreadable file with its reason on
// standard error; then throws Error, or with skip_bad leaves these files out. Throws Interrupted
// between two images if a stop is wanted.
void check_headers(const std::vector<TaskData*>& tasks, const DataOptions& options);
// Decodes the images of one task, unless they are decoded already, and computes their digests.
// Fails as check_headers does, and throws Error where the files are no longer those that were found.
void decode(TaskData& data, const DataOptions& options);

// Prints the task's unreadable files and (unless quiet) its notes on standard error.
// Returns the number of these files.
std::size_t report_task(const data::Task& task, bool skip_bad, bool quiet);

}  // namespace reprise::clr
