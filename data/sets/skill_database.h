// Tasks of the SKILL/DCT database: ROOT/rolling_releases/database_2.sqlite and
// ROOT/original_images/. Its tables are datasets(dataset_id, dataset_name, good) and files(path,
// filename, class_id, dataset_id, problem, set).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/sets/find_tasks.h"
#include "data/sets/task.h"
#include "engine/base/export.h"

namespace reprise::data {

// Returns whether the database is there.
bool is_skill_database(const std::string& root);

// Returns the tasks that the options choose. Without a choice it returns those whose `good` is not
// 0, by ascending id, and warns of each that cannot be learned. A task's rows have problem = 0 and
// stand in set 0 (train), 1 (val) or 2 (test). An image lies at original_images/ + dataset_name +
// path + filename. Task::id is the dataset_id, and the classes are named by their ids. Splits,
// labels and order are those of the original (original_subset.h). Error: no SQLite in this
// build; no such task; a missing table or column; two data sets of one id or name.
std::vector<Task> find_skill_tasks(const std::string& root, const SetOptions& options);

// Returns one task by its id.
REPRISE_API Task read_skill_task(const std::string& root, std::int64_t id, const SetOptions& options);

}  // namespace reprise::data
