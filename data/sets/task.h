// One classification task: its classes and the images of its splits.
#pragma once

#include <string>
#include <vector>

#include "engine/base/export.h"

namespace reprise::data {

struct Sample {
  std::string path;      // opens the file; any bytes that a file system allows
  std::string relative;  // "<class>/<file>": the file's path inside the class's folder
  int label = 0;         // the class's place in Task::classes
};

// A file that cannot be read, or a row of a database that names no image.
struct Unreadable {
  std::string path, reason;
  bool operator==(const Unreadable&) const = default;
};

// Throws Error, with the list, unless it is empty.
REPRISE_API void check_all_readable(const std::vector<Unreadable>& unreadable);

// In a split the samples are sorted by label, and in a class by the bytes of their relative paths.
// Where `ordered` is set, they stand as the data give them. An image's index counts from 0 in that
// order.
struct Task {
  std::string name;
  std::string id;  // a number in a database of tasks; empty where there is none
  std::vector<std::string> classes;
  std::vector<Sample> train, val, test;
  std::vector<Sample> spare;           // training images that max_images left out
  bool val_from_train = false;         // val was taken from the training images
  bool ordered = false;                // the data state splits and order: nothing is sampled or sorted anew
  std::vector<std::string> notes;      // warnings: a class dropped, a class of one image, ...
  std::vector<Unreadable> unreadable;  // the caller stops here, unless it may skip them
  std::vector<std::string> skipped;    // paths of what systems leave in folders (walk.h)
};

// Adds a note, unless the task has it already.
REPRISE_API void add_note(Task& task, std::string note);

}  // namespace reprise::data
