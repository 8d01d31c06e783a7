// Rows of a database that is not trusted, as images of a data set. Private to data/sets.
#pragma once

#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "data/sets/seed_subset.h"
#include "data/sets/sqlite_file.h"
#include "data/sets/task.h"

namespace reprise::data {

// Where a data set's images lie.
struct ImagePlace {
  std::string root;    // nothing outside may be read
  std::string prefix;  // of the paths below root: what the columns give is put right behind it
};

// One split's rows. The query's first column is the class id, the others are put together to the path; ?1 and
// so on are `bound`. A row that cannot be an image (NULL, a number for a text, a class id that is no number
// from 0, a path that leaves the root) is added to Task::unreadable by the number it has in the result,
// from 1.
struct SplitQuery {
  std::string sql;
  std::vector<std::int64_t> numbers;  // bound, or
  std::string text;                   // bound where there are no numbers
  std::string where;                  // for messages: "dataset 17, set 0"
};
std::vector<DatabaseRow> read_rows(const SqliteFile& file, const SplitQuery& query, const ImagePlace& place,
                                   Task& task, const SetOptions& options);

// Labels and splits of what was read, see take_seed_subset; then looks at the links on the way to the images
// taken: one that leads out of the root makes its images unreadable.
void finish_database_task(Task& task, DatabaseRows rows, const ImagePlace& place, const SetOptions& options);

// Reads each of the tasks at these places. One whose rows make no task is an error where the options name
// tasks, else it is left out with a warning; Error where none is left.
std::vector<Task> read_tasks(const std::vector<std::size_t>& places, const SetOptions& options,
                             const SqliteFile& file, const std::function<Task(std::size_t)>& read);

// Error where an option is set that a database leaves no room for; a note where one has no effect.
void check_database_options(const SetOptions& options, const std::string& path);

}  // namespace reprise::data
