#include "data/sets/collection_database.h"

#include <algorithm>
#include <filesystem>

#include "data/sets/database_rows.h"
#include "data/sets/names.h"
#include "data/sets/sqlite_file.h"
#include "engine/base/check.h"
#include "engine/base/log.h"

namespace reprise::data {
namespace {

constexpr const char* database_name = "/0_collection/all_images.sqlite";

// Returns the folder of the collection below a root, "" where there is none.
std::string collection_of(const std::string& root) {
  for (const char* below : {"/DCT_files", "/name-pending_collection", ""}) {
    std::error_code error;
    if (std::filesystem::exists(root + below + database_name, error)) return root + below;
  }
  return {};
}

std::vector<std::string> read_names(const SqliteFile& file) {
  std::vector<std::string> names;
  file.select("SELECT DISTINCT dataset FROM images", std::vector<std::int64_t>{}, [&](auto row) {
    std::string why = row[0].why_no_text();
    if (why.empty()) why = why_no_task_name(row[0].text);
    if (why.empty())
      names.push_back(row[0].text);
    else
      log_warning(
          fmt::format("{}: the dataset '{}' is not used: the name {}", file.path(), shown(row[0].text), why));
  });
  std::sort(names.begin(), names.end());
  return names;
}

Task read_task(const SqliteFile& file, const std::string& collection, const std::string& name,
               const SetOptions& options) {
  Task task;
  task.name = name;
  const ImagePlace place{collection, name + "/"};
  const auto read = [&](int split) {
    const SplitQuery query{
        fmt::format("SELECT class_id, relative_path FROM images WHERE dataset = ?1 AND problem = 0 AND "
                    "set_id = {}",
                    split),
        {},
        name,
        fmt::format("images of dataset {}, set_id {}", name, split)};
    return read_rows(file, query, place, task, options);
  };
  DatabaseRows rows;
  rows.train = read(0);
  rows.val = read(1);
  rows.test = read(2);
  file.select(
      "SELECT count(*) FROM images WHERE dataset = ?1 AND problem = 0 AND set_id = -1", name, [&](auto row) {
        if (row[0].integer > 0)
          add_note(task, fmt::format("{} images belong to no split (set_id -1): left out", row[0].integer));
      });
  finish_database_task(task, std::move(rows), place, options);
  return task;
}

}  // namespace

bool is_collection(const std::string& root) {
  return !collection_of(root).empty();
}

std::vector<Task> find_collection_tasks(const std::string& dir, const SetOptions& options) {
  check_database_options(options, dir);
  const std::string collection = collection_of(dir);
  const SqliteFile file(collection + database_name);
  file.require_table("images");
  std::vector<TaskName> names;
  for (const std::string& name : read_names(file)) names.push_back({name, ""});
  REPRISE_CHECK(!names.empty(), "data: the collection holds no data set\n  file    {}", file.path());
  return read_tasks(choose_tasks(names, options, dir), options, file,
                    [&](std::size_t i) { return read_task(file, collection, names[i].name, options); });
}

}  // namespace reprise::data
