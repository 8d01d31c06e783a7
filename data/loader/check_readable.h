// Decodes or looks at every image of a task before it trains: a broken file is found now and not in
// an hour.
#pragma once

#include <memory>
#include <string>

#include "data/loader/image_store.h"
#include "data/sets/find_tasks.h"
#include "data/sets/task.h"
#include "engine/base/export.h"

namespace reprise::data {

// The loaded images of a task's splits, in the order of Task::train, val and test; none is null.
struct TaskImages {
  std::unique_ptr<ImageStore> train, val, test;
};

// Decodes all images on all threads, each once, and keeps them (see ImageStore). Adds the files
// that cannot be decoded to Task::unreadable. Without skip_bad the caller must then stop, as the
// stores are not complete. With skip_bad the task becomes what it would be without those files:
// splits are taken anew, empty classes are dropped by name, and all images of the new splits are
// loaded. Throws Error where fewer than two classes are left.
REPRISE_API TaskImages check_readable(Task& task, const SetOptions& options, int size,
                                      const std::string& cache_dir, const Progress& progress = {});

// Does the same and keeps no pixels. With `headers` it reads only each image's format and size.
REPRISE_API void check_readable(Task& task, const SetOptions& options, const Progress& progress = {},
                                bool headers = false);

}  // namespace reprise::data
