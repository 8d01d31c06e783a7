// Labels and images of a task, as the original takes them from the rows of a database.
// Private to data/sets.
#pragma once

#include <string>
#include <vector>

#include "data/sets/find_tasks.h"
#include "data/sets/task.h"
#include "engine/base/error.h"

namespace reprise::data {

// Thrown where the rows of a data set make no task.
struct Unlearnable : Error {
  using Error::Error;
};

// A row that names an image.
struct DatabaseRow {
  std::string class_id;
  std::string path;      // opens the image
  std::string relative;  // the path below the data set's folder
};

struct DatabaseRows {
  std::vector<DatabaseRow> train, val, test;  // in the database's order
};

// Returns how many images each class gives: total / classes, halves rounded to the even neighbour.
std::int64_t images_per_class(std::int64_t total, std::int64_t classes);

// Gives the task its classes and splits:
// - Labels 0, 1, … are the class ids in the order of their first training row. Only the first 300
//   count.
// - A split's images stand class by class, the classes in the order of their first row in that
//   split. A class's rows are shuffled as CPython does it, with one generator a split, seeded with
//   27. The first images_per_class(amount, classes of that split) rows are taken, or all where
//   there are fewer.
// - The amount is 5120 for training and 512 for validation where a task has at least 60 classes,
//   else 2560 and 256.
// - The original never reads the test split. It is taken as validation is, without the classes that
//   training lacks.
// Throws Unlearnable where there are fewer than two classes, or where only one of training and
// validation has a class. With skip_bad such a class's rows are left out, and a note says so.
void take_original_subset(Task& task, DatabaseRows rows, const SetOptions& options);

}  // namespace reprise::data
