// Tasks from folders: one folder a class, images inside.
#pragma once

#include <string>
#include <vector>

#include "data/sets/find_tasks.h"
#include "data/sets/task.h"

namespace reprise::data {

// The tasks under a folder, in the order of their names' bytes. The first layout that fits holds:
//   DIR/train/<class>/…            one task named after DIR; val/ (or validation/) and test/ beside train/
//   DIR/<class>/<image>            one task named after DIR
//   DIR/<task>/<class>/… or DIR/<task>/{train,val,test}/<class>/…
// A folder `train` that holds images instead of folders is a class of that name. Images are looked for in
// a class's inner folders too, and known by their content. Classes are sorted by bytes.
// Error: no images; a task of fewer than two classes; a class without images (with skip_bad it is dropped and
// noted); a class of val or test that train lacks.
std::vector<Task> find_folder_tasks(const std::string& dir, const SetOptions& options);

}  // namespace reprise::data
