// Finds the tasks of a place on disk, whatever its layout.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/limits.h"
#include "data/sets/task.h"
#include "engine/base/export.h"

namespace reprise::data {

struct SetOptions {
  double val_fraction = 0.1;    // share of a class that validates where there is no val split; in (0,1)
  std::int64_t max_images = 0;  // training images of a task, equally per class; 0: all
  bool skip_bad = false;        // leave out what cannot be read
  std::vector<std::string> tasks = {};          // only these, in this order, by name or id; empty: all
  bool absent_allowed = false;                  // a task that `tasks` names and the data lack is no error
  std::int64_t max_files = limits::task_files;  // of one task; more is an error
  bool clip_grey16 = false;   // 16-bit grey as Pillow converts it: see Grey16 in data/image/image.h
  bool follow_links = false;  // a database's images may lie where links lead out of its folder
};

// Returns the tasks at a path. The first layout that fits holds:
//   a file                                       a list of images (list_file.h)
//   DIR/rolling_releases/database_2.sqlite       the SKILL/DCT database (skill_database.h)
//   DIR/*/0_collection/all_images.sqlite         the DCT collection (collection_database.h)
//   DIR/train.txt                                lists of images
//   anything else                                class folders (class_folders.h)
// "paper53" in SetOptions::tasks stands for the 53 tasks of the paper, in its order. Without a
// choice the tasks of a database are sorted by id, all others by the bytes of their names. What
// cannot be read stands in Task::unreadable and in no split. Error: no such path; an unknown task;
// what the layout's own header names.
REPRISE_API std::vector<Task> find_tasks(const std::string& path, const SetOptions& options);

struct TaskName {
  std::string name, id;  // id: empty where there is none
};
// Returns the places in `tasks` of those that SetOptions::tasks asks for, in the order asked, each
// once; all places where it asks for none. A name goes before an id. Error, unless absent_allowed,
// where one is not there.
std::vector<std::size_t> choose_tasks(const std::vector<TaskName>& tasks, const SetOptions& options,
                                      const std::string& path);

// Returns "SQLite 3.40.1", or "" where this build cannot read databases.
REPRISE_API std::string sqlite_version();

// Returns the folder's or file's own name: "animals" of "animals/", of "../animals" and of "."
// inside it.
std::string name_of_path(const std::string& path);

}  // namespace reprise::data
