#include "data/sets/skill_database.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "data/sets/database_rows.h"
#include "data/sets/names.h"
#include "data/sets/sqlite_file.h"
#include "engine/base/check.h"
#include "engine/base/log.h"

namespace reprise::data {
namespace {

constexpr const char* database_name = "/rolling_releases/database_2.sqlite";
constexpr const char* images_name = "original_images";

struct DataSet {
  std::int64_t id = 0;
  std::string name;
  bool good = false;
};

std::string why_no_data_set(std::span<const SqliteValue> row) {
  if (row[0].kind != SqliteValue::Kind::integer || row[0].integer < 0)
    return "dataset_id is no whole number from 0";
  std::string why = row[1].why_no_text();
  if (!why.empty()) return "dataset_name " + why;
  why = why_no_task_name(row[1].text);
  return why.empty() ? why : fmt::format("dataset_name '{}': {}", shown(row[1].text), why);
}

// Returns the data sets by ascending id. Warns of a row that names none.
std::vector<DataSet> read_data_sets(const SqliteFile& file) {
  std::vector<DataSet> sets;
  std::int64_t number = 0;
  file.select(
      "SELECT dataset_id, dataset_name, good FROM datasets", std::vector<std::int64_t>{}, [&](auto row) {
        ++number;
        if (const std::string why = why_no_data_set(row); !why.empty())
          log_warning(fmt::format("{}: row {} of datasets is not used: {}", file.path(), number, why));
        else
          sets.push_back({row[0].integer, row[1].text, row[2].integer != 0});
      });
  std::stable_sort(sets.begin(), sets.end(), [](const DataSet& a, const DataSet& b) { return a.id < b.id; });
  std::set<std::string> names;
  for (std::size_t i = 0; i < sets.size(); ++i) {
    REPRISE_CHECK(i == 0 || sets[i].id != sets[i - 1].id, "data: two data sets have the id {}\n  file    {}",
                  sets[i].id, file.path());
    REPRISE_CHECK(names.insert(sets[i].name).second, "data: two data sets have the name '{}'\n  file    {}",
                  sets[i].name, file.path());
  }
  return sets;
}

Task read_task(const SqliteFile& file, const std::string& root, const DataSet& set,
               const SetOptions& options) {
  Task task;
  task.name = set.name;
  task.id = std::to_string(set.id);
  const ImagePlace place{root + "/" + images_name, set.name};
  const auto read = [&](std::int64_t split) {
    // No ORDER BY: the order is the one in which the database gives them.
    const SplitQuery query{
        "SELECT class_id, path, filename FROM files WHERE dataset_id = ?1 AND problem = 0 AND [set] = ?2",
        {set.id, split},
        "",
        fmt::format("files of dataset {}, set {}", set.id, split)};
    return read_rows(file, query, place, task, options);
  };
  DatabaseRows rows;
  rows.train = read(0);
  rows.val = read(1);
  rows.test = read(2);
  finish_database_task(task, std::move(rows), place, options);
  return task;
}

std::string without_slash(std::string root) {
  while (root.size() > 1 && root.ends_with('/')) root.pop_back();
  return root;
}

SqliteFile open_database(const std::string& root, const SetOptions& options) {
  check_database_options(options, root);
  SqliteFile file(root + database_name);
  file.require_table("datasets");
  file.require_table("files");
  REPRISE_CHECK(std::filesystem::is_directory(root + "/" + images_name),
                "data: the database has no folder of images beside it\n  expected  {}/{}", root, images_name);
  return file;
}

}  // namespace

bool is_skill_database(const std::string& root) {
  std::error_code error;
  return std::filesystem::exists(root + database_name, error);
}

std::vector<Task> find_skill_tasks(const std::string& dir, const SetOptions& options) {
  const std::string root = without_slash(dir);
  const SqliteFile file = open_database(root, options);
  std::vector<DataSet> sets = read_data_sets(file);
  if (options.tasks.empty()) std::erase_if(sets, [](const DataSet& s) { return !s.good; });
  REPRISE_CHECK(!sets.empty(), "data: the database has no good data set\n  file    {}", file.path());
  std::vector<TaskName> names;
  for (const DataSet& s : sets) names.push_back({s.name, std::to_string(s.id)});
  return read_tasks(choose_tasks(names, options, root), options, file,
                    [&](std::size_t i) { return read_task(file, root, sets[i], options); });
}

Task read_skill_task(const std::string& dir, std::int64_t id, const SetOptions& options) {
  const std::string root = without_slash(dir);
  const SqliteFile file = open_database(root, options);
  for (const DataSet& set : read_data_sets(file))
    if (set.id == id) return read_task(file, root, set, options);
  throw_error("data: no data set has the id {}\n  file    {}", id, file.path());
}

}  // namespace reprise::data
