#include "data/sets/class_folders.h"

#include <algorithm>
#include <array>

#include "data/sets/printable.h"
#include "data/sets/split.h"
#include "data/sets/walk.h"
#include "engine/base/check.h"

namespace reprise::data {
namespace {

constexpr std::array<std::string_view, 4> split_names = {"train", "val", "validation", "test"};

bool contains(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_split_name(const std::string& name) {
  return std::find(split_names.begin(), split_names.end(), name) != split_names.end();
}

// Whether the folder is divided into train/, val/ and test/. A train/ with images of its own and no folder
// is a class of that name, unless there is nothing beside it but other splits.
bool is_divided(const std::string& path, const Listing& listing) {
  const bool only_splits =
      !listing.folders.empty() && std::all_of(listing.folders.begin(), listing.folders.end(), is_split_name);
  if (!contains(listing.folders, "train")) {
    REPRISE_CHECK(!only_splits, "data: the folder holds {} but no train/\n  folder  {}",
                  fmt::join(listing.folders, ", "), path);
    return false;
  }
  const std::string train = path + "/train";
  const bool is_class = list_folder(train).folders.empty() && holds_images(train);
  REPRISE_CHECK(
      !is_class || !only_splits,
      "data: train/ holds images but no class folders; expected train/<class>/<image>\n  folder  {}", path);
  return !is_class;
}

// Appends the images of every class folder below `path`; returns how many images each class got.
void read_split(Task& task, const std::string& path, std::vector<Sample>& samples,
                const SetOptions& options) {
  const Listing listing = list_folder(path);
  const bool is_train = &samples == &task.train;
  if (is_train) task.classes = listing.folders;
  if (holds_images(path))
    add_note(task, fmt::format("images beside the class folders of {} are not used", path));
  Walker walker(options.max_files);
  for (const std::string& name : listing.folders) {
    REPRISE_CHECK(is_printable(name), "data: a class's name is not printable UTF-8: {}\n  folder  {}",
                  escaped(name), path);
    REPRISE_CHECK(walker.mark(path + "/" + name), "data: two classes are the same folder\n  folder  {}/{}",
                  path, name);
  }
  std::vector<std::string> empty;
  for (const std::string& name : listing.folders) {
    ClassFiles found = walker.walk(path + "/" + name);
    const auto known = std::find(task.classes.begin(), task.classes.end(), name);
    REPRISE_CHECK(known != task.classes.end() || found.images.empty(),
                  "data: class '{}' has images here but is not in train/\n  folder  {}/{}\n  task    {}",
                  name, path, name, task.name);
    if (is_train && found.images.empty() && found.unreadable.empty()) empty.push_back(name);
    const int label = static_cast<int>(known - task.classes.begin());
    for (const std::string& file : found.images)
      samples.push_back({path + "/" + name + "/" + file, name + "/" + file, label});
    task.unreadable.insert(task.unreadable.end(), found.unreadable.begin(), found.unreadable.end());
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
  const bool divided = is_divided(path, listing);
  read_split(task, divided ? path + "/train" : path, task.train, options);
  if (divided) {
    const bool has_val = contains(listing.folders, "val"),
               has_validation = contains(listing.folders, "validation");
    REPRISE_CHECK(!has_val || !has_validation, "data: both val/ and validation/\n  folder  {}", path);
    if (has_val || has_validation)
      read_split(task, path + (has_val ? "/val" : "/validation"), task.val, options);
    if (contains(listing.folders, "test")) read_split(task, path + "/test", task.test, options);
    if ((has_val || has_validation) && task.val.empty())
      add_note(task, "the val split holds no images: val is taken from train");
    for (const std::string& folder : listing.folders)
      if (!is_split_name(folder))
        add_note(task, fmt::format("{}/{} is not used: it lies beside train/", path, folder));
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

  const bool divided = is_divided(root, listing);
  std::vector<std::string> with_images;
  if (!divided)
    std::copy_if(listing.folders.begin(), listing.folders.end(), std::back_inserter(with_images),
                 [&](const std::string& name) { return holds_images(root + "/" + name); });
  std::vector<Task> tasks;
  if (divided || !with_images.empty()) {
    const std::string name = name_of_path(dir);
    if (choose_tasks({{name, ""}}, options, dir).empty()) return tasks;
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
  for (const std::size_t i : choose_tasks(names, options, dir))
    tasks.push_back(read_task(names[i].name, root + "/" + names[i].name, options));
  return tasks;
}

}  // namespace reprise::data
