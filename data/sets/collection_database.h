// Tasks of the DCT collection in its own layout. The database is
// COLLECTION/0_collection/all_images.sqlite, where COLLECTION is ROOT/DCT_files, in SKILL
// ROOT/name-pending_collection, or ROOT itself. Its table is images(dataset, relative_path,
// class_id, set_id, problem, …), and an image lies at COLLECTION/<dataset>/<relative_path>. Private
// to data/sets.
#pragma once

#include <string>
#include <vector>

#include "data/sets/find_tasks.h"
#include "data/sets/task.h"

namespace reprise::data {

// Returns whether such a database is there.
bool is_collection(const std::string& root);

// Returns the tasks that the options choose; without a choice all, by the bytes of their names. A
// task's rows have problem = 0 and stand in set_id 0 (train), 1 (val) or 2 (test). Rows of set_id
// -1 belong to no split: they are left out, and a note counts them. Splits, labels, order and
// errors are those of skill_database.h.
std::vector<Task> find_collection_tasks(const std::string& root, const SetOptions& options);

}  // namespace reprise::data
