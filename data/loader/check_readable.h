// Decodes every image of a task before anything trains, so that a broken file is met now and not in an hour.
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

// Decodes all images in parallel and keeps them (see ImageStore). What cannot be decoded is added to
// Task::unreadable, in which case, without skip_bad, the caller must stop: the stores are not complete. With
// skip_bad the task becomes what it would be without those files (splits, labels, classes dropped by name;
// Error where fewer than two classes are left), and its images are all loaded. Nothing is decoded twice.
REPRISE_API TaskImages check_readable(Task& task, const SetOptions& options, int size,
                                      const std::string& cache_dir, const Progress& progress = {});

// The same check alone: keeps no pixels.
REPRISE_API void check_readable(Task& task, const SetOptions& options, const Progress& progress = {});

}  // namespace reprise::data
