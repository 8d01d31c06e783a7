// Tasks from folders: one folder a class, images inside.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/sets/task.h"
#include "engine/core/export.h"

namespace reprise::data {

struct SetOptions {
  double val_fraction = 0.1;            // of a class's images, where there is no val split; in (0,1)
  std::int64_t max_images = 0;          // training images of a task, equally per class; 0: all
  bool skip_bad = false;                // leave out what cannot be read
  std::vector<std::string> tasks;       // only the tasks of these names; empty: all
  std::int64_t max_files = 10'000'000;  // of one task; more is an error
};

// The tasks under a folder, in the order of their names' bytes. The first layout that fits holds:
//   DIR/train/<class>/…            one task named after DIR; val/ (or validation/) and test/ beside train/
//   DIR/<class>/<image>            one task named after DIR
//   DIR/<task>/<class>/… or DIR/<task>/{train,val,test}/<class>/…
// A folder `train` that holds images instead of folders is a class of that name. Images are looked for in
// a class's inner folders too, and known by their content. Classes are sorted by bytes.
// What cannot be read is listed in Task::unreadable, and left out of the splits.
// Error: no such folder; a file; no images; a task of fewer than two classes; a class without images
// (with skip_bad it is dropped and noted); a class of val or test that train lacks; an unknown task name.
REPRISE_API std::vector<Task> find_tasks(const std::string& dir, const SetOptions& options);

}  // namespace reprise::data
