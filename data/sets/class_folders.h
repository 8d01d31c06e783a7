// Tasks from folders: one folder a class, images inside.
#pragma once

#include <string>
#include <vector>

#include "data/sets/find_tasks.h"
#include "data/sets/task.h"

namespace reprise::data {

// Returns the tasks under a folder, in the order of their names' bytes. The first layout that fits
// holds:
//   DIR/train/<class>/…       one task named after DIR; beside train/ lie val/, test/ or both
//   DIR/<class>/<image>       one task named after DIR
//   DIR/<task>/<class>/…      a task for each folder; also DIR/<task>/{train,val,test}/<class>/…
// The splits may be called as in splits.h; a folder `train` with images of its own, beside others,
// is a class. Images are known by their content and looked for in a class's inner folders too.
// Classes are sorted by bytes.
//
// Error: no images; fewer than two classes; a class without images (with skip_bad it is dropped and
// noted); a class of val or test that train lacks; folders that look like splits and cannot be read
// so; splits inside a split or a class; a task's or class's name that is too long or not printable
// UTF-8.
std::vector<Task> find_folder_tasks(const std::string& dir, const SetOptions& options);

}  // namespace reprise::data
