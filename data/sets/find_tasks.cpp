#include "data/sets/find_tasks.h"

#include <algorithm>
#include <filesystem>

#include "data/sets/class_folders.h"
#include "data/sets/collection_database.h"
#include "data/sets/files.h"
#include "data/sets/list_file.h"
#include "data/sets/names.h"
#include "data/sets/paper_tasks.h"
#include "data/sets/skill_database.h"
#include "engine/base/check.h"
#include "engine/base/log.h"
#include "engine/base/utf8.h"

namespace reprise::data {
namespace {

namespace fs = std::filesystem;

void check_options(const SetOptions& options) {
  REPRISE_CHECK(options.val_fraction > 0 && options.val_fraction < 1,
                "data: the validation fraction must lie between 0 and 1, got {}", options.val_fraction);
  REPRISE_CHECK(options.max_images >= 0, "data: the number of training images must be at least 0, got {}",
                options.max_images);
}

// Returns the place of a task in the list, or the list's size.
template <class Same>
std::size_t place_of(const std::vector<TaskName>& tasks, const Same& same) {
  return static_cast<std::size_t>(std::find_if(tasks.begin(), tasks.end(), same) - tasks.begin());
}

std::size_t place_of_paper_task(const std::vector<TaskName>& tasks, const PaperTask& wanted) {
  const std::string id = std::to_string(wanted.id);
  const bool have_ids = !tasks.empty() && !tasks.front().id.empty();
  return place_of(tasks, [&](const TaskName& t) { return have_ids ? t.id == id : t.name == wanted.name; });
}

// Joins a few names for a message, written as --tasks takes them.
std::string some_of(std::vector<std::string> names) {
  constexpr std::size_t most = 60;
  for (std::string& name : names) {
    name = escaped(name);
    for (std::size_t at = 0; (at = name.find(',', at)) != name.npos; at += 2) name.insert(at, "\\");
  }
  if (names.size() <= most) return fmt::format("{}", fmt::join(names, ", "));
  return fmt::format("{}, … ({} in all)", fmt::join(names.begin(), names.begin() + most, ", "), names.size());
}

}  // namespace

std::vector<std::size_t> choose_tasks(const std::vector<TaskName>& tasks, const SetOptions& options,
                                      const std::string& path) {
  std::vector<std::size_t> chosen;
  std::vector<std::string> absent;
  const auto take = [&](std::size_t place, const std::string& wanted) {
    if (place == tasks.size())
      absent.push_back(wanted);
    else if (std::find(chosen.begin(), chosen.end(), place) == chosen.end())
      chosen.push_back(place);
  };
  if (options.tasks.empty())
    for (std::size_t i = 0; i < tasks.size(); ++i) chosen.push_back(i);
  for (const std::string& wanted : options.tasks) {
    if (wanted == paper_tasks_name) {
      for (const PaperTask& t : paper_tasks()) {
        const std::size_t place = place_of_paper_task(tasks, t);
        if (place < tasks.size() && tasks[place].name != t.name)
          log_warning(fmt::format("task {} of the paper is named {}, in the data {}", t.id, t.name,
                                  tasks[place].name));
        take(place, fmt::format("{} (id {})", t.name, t.id));
      }
      continue;
    }
    std::size_t place = place_of(tasks, [&](const TaskName& t) { return t.name == wanted; });
    if (place == tasks.size())
      place = place_of(tasks, [&](const TaskName& t) { return !t.id.empty() && t.id == wanted; });
    take(place, wanted);
  }
  if (absent.empty() || options.absent_allowed) return chosen;
  std::vector<std::string> names, with_ids;
  for (const TaskName& t : tasks) {
    names.push_back(t.name);
    with_ids.push_back(t.id.empty() ? t.name : t.name + " (" + t.id + ")");
  }
  std::string hint;
  for (const std::string& name : absent) hint += other_form(name, names, "asked", "data");
  if (std::ranges::any_of(names, [](const std::string& n) { return n.find(',') != n.npos; }))
    hint += "\nWrite \\, for a comma that belongs to a name";
  throw_error("data: no task '{}'\n  data    {}\n  tasks   {}{}", fmt::join(absent, "', '"), path,
              some_of(with_ids), hint);
}

std::string name_of_path(const std::string& path) {
  std::error_code error;
  fs::path whole = fs::absolute(path, error).lexically_normal();
  if (!whole.has_filename()) whole = whole.parent_path();
  const std::string name = whole.filename().string();
  return name.empty() ? "data" : name;
}

std::vector<Task> find_tasks(const std::string& path, const SetOptions& options) {
  check_options(options);
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  REPRISE_CHECK(fs::exists(status), "data: no such folder{}\n  folder  {}",
                error && error != std::errc::no_such_file_or_directory ? ": " + error.message() : "", path);
  if (!fs::is_directory(status)) {
    REPRISE_CHECK(!why_no_image(path).empty(),
                  "data: expected a folder or a list of images, got an image\n  path    {}", path);
    return find_list_tasks(path, options);
  }
  if (is_skill_database(path)) return find_skill_tasks(path, options);
  if (is_collection(path)) return find_collection_tasks(path, options);
  if (is_list_folder(path)) return find_list_tasks(path, options);
  return find_folder_tasks(path, options);
}

}  // namespace reprise::data
