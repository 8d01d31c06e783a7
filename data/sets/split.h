// Which of a task's images train and which validate: decided by names, never by chance.
#pragma once

#include <vector>

#include "data/sets/find_tasks.h"
#include "data/sets/task.h"
#include "engine/base/export.h"

namespace reprise::data {

// Returns an image's key: the SHA-256 of "<class>/<file>" in lower-case hex. Splits take a class's
// images in the order of their keys.
REPRISE_API std::string split_key(const Sample& sample);

// Returns how many of a class's n images validate: max(1, round(n·fraction)), halves up, and at
// most n - 1. Of a single image none does.
REPRISE_API std::int64_t val_count(std::int64_t n, double fraction);

// Divides train, spare and, where val_from_train is set, val anew. Of each class the val_count
// images with the smallest keys validate. The next max_images / classes train, or all where
// max_images is 0; the others are spare. Sorts the splits. Adding images to one class never moves
// an image of another. Error where max_images is below the number of classes.
REPRISE_API void split_task(Task& task, const SetOptions& options);

// Takes the files in `bad` out, as if they had never been there, and divides the task anew. An
// ordered task keeps the other images in their order. A class without a training image is dropped
// and noted; the labels above it move down. Error where fewer than two classes are left.
REPRISE_API void drop_unreadable(Task& task, const SetOptions& options, const std::vector<Unreadable>& bad);

}  // namespace reprise::data
