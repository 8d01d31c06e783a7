// The SKILL/DCT database: ROOT/rolling_releases/database_2.sqlite and ROOT/original_images/.
// Tables datasets(dataset_id, dataset_name, good) and files(path, filename, class_id, dataset_id, problem,
// set).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/sets/find_tasks.h"
#include "data/sets/task.h"
#include "engine/base/export.h"

namespace reprise::data {

bool is_skill_database(const std::string& root);

// The tasks that the options choose; without a choice those whose `good` is not 0, by ascending id, less
// those that cannot be learned (a warning says why). A task's rows are those with problem = 0 in set 0
// (train), 1 (val) and 2 (test); an image is original_images/ + dataset_name + path + filename. Splits,
// labels and order are the original program's (seed_subset.h); Task::id is the dataset_id, class names are
// class ids. Error: no SQLite in this build; no such task; a table or column missing; two data sets of one id
// or name.
std::vector<Task> find_skill_tasks(const std::string& root, const SetOptions& options);

// One task by its id: train and val hold the images that the original program takes, in its order.
REPRISE_API Task read_skill_task(const std::string& root, std::int64_t id, const SetOptions& options);

}  // namespace reprise::data
