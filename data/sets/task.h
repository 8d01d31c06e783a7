// One classification task: its classes and the images of its splits.
#pragma once

#include <string>
#include <vector>

#include "engine/base/export.h"

namespace reprise::data {

struct Sample {
  std::string path;      // to open it
  std::string relative;  // "<class>/<file>", the file with its folders inside the class
  int label = 0;         // the class's place in Task::classes
};

struct Unreadable {
  std::string path, reason;
  bool operator==(const Unreadable&) const = default;
};

// Within a split the samples stand in the order of their labels, inside a class in the order of their
// relative paths' bytes, or where `ordered` is set as the data give them; an image's index counts from 0 in
// that order.
struct Task {
  std::string name;
  std::string id;  // a number in a database of tasks; empty where there is none
  std::vector<std::string> classes;
  std::vector<Sample> train, val, test;
  std::vector<Sample> spare;           // training images that max_images left out
  bool val_from_train = false;         // val was taken from the training images
  bool ordered = false;                // the data state splits and order: nothing is drawn or sorted anew
  std::vector<std::string> notes;      // warnings: a class dropped, a class of one image, ...
  std::vector<Unreadable> unreadable;  // what could not be read; the caller stops unless it may skip
};

// Adds the note unless it is there already.
REPRISE_API void add_note(Task& task, std::string note);

}  // namespace reprise::data
