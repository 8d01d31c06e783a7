// Rows of a database that is not trusted, as images of a data set. Private to data/sets.
#pragma once

#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "data/sets/original_subset.h"
#include "data/sets/sqlite_file.h"
#include "data/sets/task.h"

namespace reprise::data {

// Where a data set's images lie: at root + "/" + prefix + the path that a row gives.
struct ImagePlace {
  std::string root;  // nothing outside is read, unless the user lets links lead there
  std::string prefix;
};

// The query for one split's rows. Its first column is the class id; the others are joined to the
// path.
struct SplitQuery {
  std::string sql;
  std::vector<std::int64_t> numbers;  // the values of ?1, ?2, …
  std::string text;                   // the value of ?1 where there are no numbers
  std::string where;                  // names the query in messages: "dataset 17, set 0"
};
// Runs the query and returns the rows that can be images. Adds every other row to Task::unreadable
// by its number in the result, from 1: NULL, a number for a text, a class id that is no number from
// 0, a path that leaves the root.
std::vector<DatabaseRow> read_rows(const SqliteFile& file, const SplitQuery& query, const ImagePlace& place,
                                   Task& task, const SetOptions& options);

// Gives the task labels and splits (take_original_subset). Then makes those images unreadable that a
// link on the way puts outside the root, unless SetOptions::follow_links is set.
void finish_database_task(Task& task, DatabaseRows rows, const ImagePlace& place, const SetOptions& options);

// Reads the tasks at these places. Rows that make no task are an error where the options name
// tasks; else that task is left out with a warning. Error where none is left.
std::vector<Task> read_tasks(const std::vector<std::size_t>& places, const SetOptions& options,
                             const SqliteFile& file, const std::function<Task(std::size_t)>& read);

// Refuses options that contradict a database, and warns of one that has no effect.
void check_database_options(const SetOptions& options, const std::string& path);

}  // namespace reprise::data
