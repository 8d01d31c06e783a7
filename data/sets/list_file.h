// Plain text lists of images: one "path label" pair a line, the label the last field, so that a path may hold
// blanks. Private to data/sets.
#pragma once

#include <string>
#include <vector>

#include "data/sets/find_tasks.h"
#include "data/sets/task.h"

namespace reprise::data {

// Whether a folder holds train.txt and no train/.
bool is_list_folder(const std::string& dir);

// One task: of a file, named after it (animals.txt: "animals"), or of a folder with train.txt and, where they
// are, val.txt (or validation.txt) and test.txt, named after the folder. Paths are relative to the list's
// folder, or absolute. Labels are names of classes: sorted as numbers where all are whole numbers, else by
// bytes. From there on it is as with class folders: splits, order, max_images, what is unreadable. Empty
// lines and lines that start with '#' count for nothing. Error names the line: no label, a path or label that
// is no text, an image listed twice in one list; a class of val or test that train lacks.
std::vector<Task> find_list_tasks(const std::string& path, const SetOptions& options);

}  // namespace reprise::data
