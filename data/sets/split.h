// Which of a task's images train and which validate: a function of names alone, never of chance.
#pragma once

#include <vector>

#include "data/sets/find_tasks.h"
#include "data/sets/task.h"
#include "engine/base/export.h"

namespace reprise::data {

// Lower-case SHA-256 of "<class>/<file>". The images of a class are drawn in the order of these.
REPRISE_API std::string split_key(const Sample& sample);

// How many of a class's n images validate: max(1, n·fraction rounded, halves up), but one image at least
// trains; 0 of a single image.
REPRISE_API std::int64_t val_count(std::int64_t n, double fraction);

// Divides train, val (where val_from_train) and spare anew: of each class the val_count images with the
// smallest keys validate, then the next max_images / classes train (all, where max_images is 0). Sorts the
// splits. What becomes of a class depends on its own files' names alone. Error if max_images is below the
// number of classes.
REPRISE_API void split_task(Task& task, const SetOptions& options);

// Takes these files out as if they had never been there: the splits are made anew (of an ordered task they
// keep what is left, in its order), a class without a training image is dropped by name, labels close up.
// Error where fewer than two classes are left.
REPRISE_API void drop_unreadable(Task& task, const SetOptions& options, const std::vector<Unreadable>& bad);

}  // namespace reprise::data
