#include "data/sets/class_folders.h"

#include <algorithm>

#include "data/sets/names.h"
#include "data/sets/split.h"
#include "data/sets/splits.h"
#include "data/sets/walk.h"
#include "engine/base/check.h"
#include "engine/base/utf8.h"

namespace reprise::data {
namespace {

bool contains(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Returns the splits of a task's folder; nothing where its folders are classes.
std::optional<Splits> splits_of(const std::string& path, const Listing& listing) {
  const auto splits =
      divide(listing.folders, path, [&](const std::string& name) { return holds_images(path + "/" + name); });
  if (!splits) return {};
  const std::string train = path + "/" + splits->train;
  REPRISE_CHECK(!list_folder(train).folders.empty() || !holds_images(train),
                "data: {0}/ holds images but no class folders; expected {0}/<class>/<image>\n  folder  {1}",
                splits->train, path);
  return splits;
}

// Refuses a split or a class whose own folders are splits or look like some.
void check_undivided(const std::vector<std::string>& folders, const std::string& path) {
  REPRISE_CHECK(!divide(folders, path, [](const std::string&) { return true; }),
                "data: splits where classes or images were expected\n  folder  {}\n  holds   {}\nExpected "
                "<task>/<split>/<class>/<image>: move them there, or read a folder further in",
                path, fmt::join(folders, ", "));
}

void check_class_names(Task& task, const std::vector<std::string>& classes, const std::string& path) {
  for (const std::string& name : classes)
    REPRISE_CHECK(is_printable(name),
                  "data: a class's name is not printable UTF-8: {}\n  folder  {}\nRename the folder",
                  escaped(name), path);
  for (const std::string& name : classes)
    if (const std::string twin = other_form(name, classes, "class", "class"); !twin.empty())
      return add_note(task, "two classes" + twin);
}

void check_task_name(const std::string& name, const std::string& path) {
  // A folder that was named by the user may start with a dot.
  const std::string why = why_no_task_name(name.starts_with('.') ? "_" + name.substr(1) : name);
  REPRISE_CHECK(why.empty(), "data: '{}' cannot name a task: {}\n  folder  {}\nRename the folder",
                shown(name), why, escaped(path));
}

void take_skipped(Task& task, const std::string& path, const Listing& listing) {
  for (const std::string& name : listing.skipped) task.skipped.push_back(path + "/" + name);
}

// Appends the images of every class folder below `path`. Those of train decide the classes.
void read_split(Task& task, const std::string& path, std::vector<Sample>& samples,
                const SetOptions& options) {
  const Listing listing = list_folder(path);
  const bool is_train = &samples == &task.train;
  check_class_names(task, listing.folders, path);
  if (is_train) task.classes = listing.folders;
  take_skipped(task, path, listing);
  if (holds_images(path))
    add_note(task, fmt::format("images beside the class folders of {} are not used", path));
  Walker walker(options.max_files);
  for (const std::string& name : listing.folders)
    REPRISE_CHECK(walker.mark(path + "/" + name), "data: two classes are the same folder\n  folder  {}/{}",
                  path, name);
  std::vector<std::string> empty;
  for (const std::string& name : listing.folders) {
    ClassFiles found = walker.walk(path + "/" + name);
    if (std::all_of(found.images.begin(), found.images.end(), [](auto& i) { return i.find('/') != i.npos; }))
      check_undivided(found.folders, path + "/" + name);
    const auto known = std::find(task.classes.begin(), task.classes.end(), name);
    REPRISE_CHECK(known != task.classes.end() || found.images.empty(),
                  "data: class '{}' has images here but is not in train/\n  folder  {}/{}\n  task    {}{}",
                  name, path, name, task.name, other_form(name, task.classes, "here", "train"));
    if (is_train && found.images.empty() && found.unreadable.empty()) empty.push_back(name);
    const int label = static_cast<int>(known - task.classes.begin());
    for (const std::string& file : found.images)
      samples.push_back({path + "/" + name + "/" + file, name + "/" + file, label});
    task.unreadable.insert(task.unreadable.end(), found.unreadable.begin(), found.unreadable.end());
    task.skipped.insert(task.skipped.end(), found.skipped.begin(), found.skipped.end());
    for (std::string& note : found.notes) add_note(task, std::move(note));
  }
  if (!is_train) return;
  REPRISE_CHECK(empty.size() < listing.folders.size(), "data: no images found\n  folder  {}\n  task    {}",
                path, task.name);
  REPRISE_CHECK(empty.empty() || options.skip_bad,
                "data: class '{}' has no images (--skip-bad drops it)\n  folder  {}/{}\n  task    {}",
                empty.front(), path, empty.front(), task.name);
}

Task read_task(const std::string& name, const std::string& path, const SetOptions& options) {
  Task task;
  task.name = name;
  const Listing listing = list_folder(path);
  if (const auto splits = splits_of(path, listing)) {
    take_skipped(task, path, listing);
    for (const auto& [split, samples] :
         {std::pair(splits->train, &task.train), {splits->val, &task.val}, {splits->test, &task.test}}) {
      if (split.empty()) continue;
      check_undivided(list_folder(path + "/" + split).folders, path + "/" + split);
      read_split(task, path + "/" + split, *samples, options);
    }
    if (!splits->val.empty() && task.val.empty())
      add_note(task, "the val split holds no images: val is taken from train");
  } else {
    read_split(task, path, task.train, options);
  }
  task.val_from_train = task.val.empty();
  REPRISE_CHECK(task.classes.size() >= 2, "data: a task needs at least two classes, found {}\n  folder  {}",
                fmt::join(task.classes, ", "), path);
  if (options.skip_bad)
    drop_unreadable(task, options, task.unreadable);  // also classes that were empty from the start
  else
    split_task(task, options);
  return task;
}

}  // namespace

std::vector<Task> find_folder_tasks(const std::string& dir, const SetOptions& options) {
  std::string root = dir;
  while (root.size() > 1 && root.ends_with('/')) root.pop_back();
  const Listing listing = list_folder(root);
  REPRISE_CHECK(!listing.folders.empty() || !holds_images(root),
                "data: images but no class folders; expected DIR/<class>/<image>\n  folder  {}", dir);
  REPRISE_CHECK(!listing.folders.empty(), "data: no images found\n  folder  {}", dir);

  const bool divided = splits_of(root, listing).has_value();
  std::vector<std::string> with_images;
  if (!divided)
    std::copy_if(listing.folders.begin(), listing.folders.end(), std::back_inserter(with_images),
                 [&](const std::string& name) { return holds_images(root + "/" + name); });
  std::vector<Task> tasks;
  if (divided || !with_images.empty()) {
    const std::string name = name_of_path(dir);
    if (choose_tasks({{name, ""}}, options, dir).empty()) return tasks;
    check_task_name(name, root);
    tasks.push_back(read_task(name, root, options));
    for (const std::string& folder : listing.folders)
      if (!divided && !contains(with_images, folder))
        add_note(tasks[0],
                 fmt::format("read as one task, because {}/{} holds images itself; {}/{} has them in "
                             "inner folders only",
                             root, with_images[0], root, folder));
    return tasks;
  }
  std::vector<TaskName> names;
  for (const std::string& folder : listing.folders) names.push_back({folder, ""});
  const std::vector<std::size_t> chosen = choose_tasks(names, options, dir);
  for (const std::size_t i : chosen) check_task_name(names[i].name, root + "/" + names[i].name);
  for (const std::size_t i : chosen)
    tasks.push_back(read_task(names[i].name, root + "/" + names[i].name, options));
  if (!tasks.empty()) take_skipped(tasks[0], root, listing);
  return tasks;
}

}  // namespace reprise::data
