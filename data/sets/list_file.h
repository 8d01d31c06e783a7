// Plain text lists of images: a path and a label a line. Private to data/sets.
#pragma once

#include <string>
#include <vector>

#include "data/sets/find_tasks.h"
#include "data/sets/task.h"

namespace reprise::data {

// Returns whether a folder holds a list to train on (train.txt, or as in splits.h) and no folder of
// that name.
bool is_list_folder(const std::string& dir);

// Returns one task: of a file, named after it (animals.txt: "animals"), or of a folder with a list
// for each split, named after the folder.
//
// The first column of a line is the path, the last one the label. Where a line has tabs, they
// divide the columns, and both may hold blanks; columns between them are noted and not used. Else
// the last blank divides. Paths are relative to the list's folder, or absolute. Empty lines and
// lines that start with '#' count for nothing. Labels name classes: whole numbers in their order,
// everything else by bytes. For the rest see class_folders.h.
//
// Error with the line: no label; a path or label that is no text; an image listed twice in one
// list; a class of val or test that train lacks. Error too where not one image of a list can be
// read.
std::vector<Task> find_list_tasks(const std::string& path, const SetOptions& options);

}  // namespace reprise::data
