#include "data/sets/database_rows.h"

#include <filesystem>

#include "data/sets/names.h"
#include "data/sets/split.h"
#include "data/sets/walk.h"
#include "engine/base/check.h"
#include "engine/base/log.h"

namespace reprise::data {
namespace {

namespace fs = std::filesystem;

// Returns the class id as text; nothing, and a reason, where it is no whole number from 0.
std::string class_id_of(const SqliteValue& value, std::string& reason) {
  if (value.kind == SqliteValue::Kind::integer && value.integer >= 0) return std::to_string(value.integer);
  const bool digits = value.kind == SqliteValue::Kind::text && value.size > 0 && value.size <= 18 &&
                      value.text.find_first_not_of("0123456789") == std::string::npos;
  if (digits) return std::to_string(std::stoll(value.text));
  reason = "class_id is no whole number from 0";
  if (value.kind == SqliteValue::Kind::null) reason += ": NULL";
  if (value.kind == SqliteValue::Kind::integer) reason += fmt::format(": {}", value.integer);
  if (value.kind == SqliteValue::Kind::text) reason += fmt::format(": '{}'", shown(value.text));
  return {};
}

// Returns the image's path below the data set; nothing, and a reason, where the row has none.
std::string relative_of(std::span<const SqliteValue> columns, const ImagePlace& place, std::string& reason) {
  std::string relative;
  for (const SqliteValue& value : columns) {
    if (const std::string why = value.why_no_text(); !why.empty()) {
      reason = "its path " + why;
      return {};
    }
    relative += value.text;
  }
  if (relative.empty() || relative.back() == '/') {
    reason = fmt::format("its path '{}' names no file", shown(relative));
    return {};
  }
  for (const fs::path& part : fs::path(place.prefix + relative))
    if (part == "..") reason = fmt::format("its path '{}' leads upward", shown(relative));
  return reason.empty() ? relative : std::string();
}

// Tells which paths lead out of a folder. Asks the system for a folder's real path once.
class Root {
 public:
  explicit Root(const std::string& root) : root_(canonical(root)) {}

  // False of a file that is absent: reading it will say so.
  bool leaves(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    const auto [at, is_new] = outside_.emplace(path.substr(0, slash), false);
    if (is_new) at->second = is_outside(at->first);
    std::error_code error;
    return at->second || (fs::is_symlink(fs::path(path), error) && is_outside(path));
  }

 private:
  bool is_outside(const std::string& path) const {
    std::error_code error;
    const fs::path real = fs::canonical(path, error);
    return !error && real != root_ && !real.string().starts_with(root_ == "/" ? "/" : root_ + "/");
  }
  std::string root_;
  std::unordered_map<std::string, bool> outside_;
};

}  // namespace

std::vector<DatabaseRow> read_rows(const SqliteFile& file, const SplitQuery& query, const ImagePlace& place,
                                   Task& task, const SetOptions& options) {
  std::vector<DatabaseRow> rows;
  std::int64_t number = 0;
  const auto take = [&](std::span<const SqliteValue> row) {
    ++number;
    REPRISE_CHECK(number <= options.max_files, "data: more than {} images in one task\n  task    {}",
                  options.max_files, task.name);
    std::string reason;
    DatabaseRow usable;
    usable.class_id = class_id_of(row[0], reason);
    if (reason.empty()) usable.relative = relative_of(row.subspan(1), place, reason);
    if (!reason.empty()) {
      task.unreadable.push_back({fmt::format("{}, {}, row {}", file.path(), query.where, number), reason});
      return;
    }
    usable.path = place.root + "/" + place.prefix + usable.relative;
    rows.push_back(std::move(usable));
  };
  if (query.numbers.empty())
    file.select(query.sql, query.text, take);
  else
    file.select(query.sql, query.numbers, take);
  return rows;
}

void finish_database_task(Task& task, DatabaseRows rows, const ImagePlace& place, const SetOptions& options) {
  take_original_subset(task, std::move(rows), options);
  if (options.follow_links) return;
  Root root(place.root);
  std::vector<Unreadable> bad;
  for (const auto* samples : {&task.train, &task.val, &task.test})
    for (const Sample& s : *samples)
      if (root.leaves(s.path))
        bad.push_back(
            {s.path, fmt::format("a link on its way leads out of {}; --follow-links follows such links",
                                 place.root)});
  if (bad.empty()) return;
  task.unreadable.insert(task.unreadable.end(), bad.begin(), bad.end());
  if (options.skip_bad) drop_unreadable(task, options, bad);
}

std::vector<Task> read_tasks(const std::vector<std::size_t>& places, const SetOptions& options,
                             const SqliteFile& file, const std::function<Task(std::size_t)>& read) {
  std::vector<Task> tasks;
  for (const std::size_t place : places) try {
      tasks.push_back(read(place));
    } catch (const Unlearnable& e) {
      if (!options.tasks.empty()) throw;
      log_warning(std::string(e.what()) + ": left out");
    }
  REPRISE_CHECK(!tasks.empty() || places.empty(), "data: none of the data sets can be learned\n  file    {}",
                file.path());
  return tasks;
}

void check_database_options(const SetOptions& options, const std::string& path) {
  REPRISE_CHECK(options.max_images == 0,
                "data: --max-images does not apply to a database: how many images a class gives is settled "
                "(5120 of a task from 60 classes on, 2560 below)\n  data    {}",
                path);
  if (options.val_fraction != SetOptions{}.val_fraction)
    log_warning(
        fmt::format("--val-fraction has no effect: the database {} states the validation images", path));
}

}  // namespace reprise::data
