// The DCT collection's own layout: ROOT/DCT_files/0_collection/all_images.sqlite, in SKILL
// ROOT/name-pending_collection/0_collection/all_images.sqlite (the collection's folder itself is taken too),
// images under <collection>/<dataset>/<relative_path>. Table images(dataset, relative_path, class_id, set_id,
// problem, …). Private to data/sets.
#pragma once

#include <string>
#include <vector>

#include "data/sets/find_tasks.h"
#include "data/sets/task.h"

namespace reprise::data {

bool is_collection(const std::string& root);

// The data sets that the options choose, by the bytes of their names without a choice. A task's rows are
// those with problem = 0 in set_id 0 (train), 1 (val) and 2 (test); those of set_id -1, unassigned, are left
// out and a note counts them. Splits, labels and order as in skill_database.h. Errors as there.
std::vector<Task> find_collection_tasks(const std::string& root, const SetOptions& options);

}  // namespace reprise::data
