// Labels and images of a task as the original CLR program takes them from the rows of a database. Private to
// data/sets.
#pragma once

#include <string>
#include <vector>

#include "data/sets/find_tasks.h"
#include "data/sets/task.h"
#include "engine/base/error.h"

namespace reprise::data {

// The rows of a data set that cannot make a task.
struct Unlearnable : Error {
  using Error::Error;
};

// A usable row of a split.
struct DatabaseRow {
  std::string class_id;
  std::string path;      // to open the image
  std::string relative;  // below the data set's folder
};

struct DatabaseRows {
  std::vector<DatabaseRow> train, val, test;  // each in the order the database returns them
};

// Images of each class: total / classes, a half rounded to the even neighbour.
std::int64_t images_per_class(std::int64_t total, std::int64_t classes);

// Fills in classes and splits:
// - Labels 0, 1, … are the class ids in order of their first training row; only the first 300 count.
// - A split's images stand class by class, classes in order of their first row in that split. A class's rows
//   are shuffled as CPython does it, by one generator a split, seeded with 27, and the first
//   images_per_class(amount, classes of that split) of them are taken, all where there are fewer. The amount
//   is 5120 for training and 512 for validation from 60 classes on, 2560 and 256 below.
// - The test split, which the original never reads, is taken as validation is; a class that training lacks is
//   left out of it.
// Unlearnable: fewer than two classes; a class that only one of training and validation has (with skip_bad
// its rows are left out, and a note says so).
void take_seed_subset(Task& task, DatabaseRows rows, const SetOptions& options);

}  // namespace reprise::data
