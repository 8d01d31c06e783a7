#include "data/sets/list_file.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <unordered_map>

#include "data/io/file.h"
#include "data/limits.h"
#include "data/sets/files.h"
#include "data/sets/names.h"
#include "data/sets/split.h"
#include "data/sets/splits.h"
#include "data/sets/walk.h"
#include "engine/base/check.h"
#include "engine/base/utf8.h"

namespace reprise::data {
namespace {

namespace fs = std::filesystem;

struct Line {
  std::string path, label;
  std::int64_t number = 0;
  bool tabs = false, more_columns = false;  // divided by tabs; columns lie between path and label
};

constexpr std::string_view blanks = " \t\r";

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(blanks);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

// Takes a line apart. The first column is the path, the last one the label. Tabs divide the columns
// where there are any; else the last blank does.
Line parse_line(std::string_view text, std::int64_t number, const std::string& file) {
  const bool tabs = text.find('\t') != text.npos;
  const std::size_t last = text.find_last_of(tabs ? "\t" : blanks), first = tabs ? text.find('\t') : last;
  REPRISE_CHECK(last != text.npos, "{}: line {} has no label, expected 'path label': {}", file, number,
                shown(text));
  const std::string_view path = trimmed(text.substr(0, first)), label = trimmed(text.substr(last + 1));
  REPRISE_CHECK(path.size() <= limits::list_path_bytes && path.find('\0') == path.npos,
                "{}: line {} holds no path: {}", file, number, shown(path));
  REPRISE_CHECK(label.size() <= limits::list_label_bytes && is_printable(label),
                "{}: the label of line {} is not printable UTF-8, or too long: {}", file, number,
                shown(label));
  return {std::string(path), std::string(label), number, tabs,
          !trimmed(text.substr(first, last - first)).empty()};
}

std::vector<Line> read_lines(const std::string& file, const SetOptions& options) {
  const auto bytes = read_file(file);
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  REPRISE_CHECK(!text.starts_with("\xFF\xFE") && !text.starts_with("\xFE\xFF"),
                "{}: the list is UTF-16, expected UTF-8: save it so", file);
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  std::vector<Line> lines;
  std::unordered_map<std::string, std::int64_t> seen;
  for (std::int64_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#') continue;
    lines.push_back(parse_line(line, number, file));
    const auto [at, is_new] = seen.emplace(lines.back().path, number);
    REPRISE_CHECK(is_new, "{}: line {} lists the image of line {} again: {}", file, number, at->second,
                  shown(lines.back().path));
    REPRISE_CHECK(static_cast<std::int64_t>(lines.size()) <= options.max_files,
                  "{}: more than {} images in one list", file, options.max_files);
  }
  REPRISE_CHECK(!lines.empty(), "{}: the list names no image", file);
  return lines;
}

bool is_number(const std::string& label) {
  return label.size() <= 18 && label.find_first_not_of("0123456789") == std::string::npos;
}

std::vector<std::string> classes_of(const std::vector<Line>& lines) {
  std::vector<std::string> classes;
  for (const Line& line : lines) classes.push_back(line.label);
  std::sort(classes.begin(), classes.end());
  classes.erase(std::unique(classes.begin(), classes.end()), classes.end());
  if (std::all_of(classes.begin(), classes.end(), is_number))
    std::stable_sort(classes.begin(), classes.end(), [](const std::string& a, const std::string& b) {
      return std::stoll(a) < std::stoll(b);
    });
  return classes;
}

// Looks for the first part of a path that is absent; shows both where the disk has another form.
std::string form_on_disk(const fs::path& path) {
  fs::path folder;
  std::error_code error;
  for (const fs::path& part : path) {
    if (fs::is_directory(folder, error) && !fs::exists(folder / part, error)) try {
        return other_form(part.string(), names_in(folder.string()), "list", "disk");
      } catch (const Error&) {
        return {};  // the folder cannot be listed
      }
    folder /= part;
  }
  return {};
}

void read_split(Task& task, const std::string& file, std::vector<Sample>& samples,
                const SetOptions& options) {
  const std::vector<Line> lines = read_lines(file, options);
  if (&samples == &task.train) task.classes = classes_of(lines);
  std::map<std::string, int> labels;
  for (std::size_t c = 0; c < task.classes.size(); ++c) labels[task.classes[c]] = static_cast<int>(c);
  const fs::path folder = fs::path(file).parent_path();
  const std::size_t before = task.unreadable.size();
  for (const Line& line : lines) {
    const auto label = labels.find(line.label);
    REPRISE_CHECK(label != labels.end(), "{}: line {}: class '{}' is not in train\n  task    {}{}", file,
                  line.number, line.label, task.name, other_form(line.label, task.classes, "here", "train"));
    if (line.more_columns) add_note(task, file + ": columns between the path and the label are not used");
    const std::string path = (folder / line.path).string();
    std::string reason = why_no_image(path);
    if (reason.empty()) {
      samples.push_back({path, line.label + "/" + line.path, label->second});
      continue;
    }
    if (!line.tabs && line.path.find(' ') != std::string::npos)
      reason += " (the last blank divides path and label; a label of several words needs a tab before it)";
    if (task.unreadable.size() == before) reason += form_on_disk(fs::absolute(path));
    task.unreadable.push_back({path, std::move(reason)});
  }
  REPRISE_CHECK(!samples.empty(),
                "{}: not one of its {} images can be read\n  first   {}\n  reason  {}\nThe first column is "
                "a path, absolute or relative to the list's folder",
                file, lines.size(), shown(task.unreadable[before].path), task.unreadable[before].reason);
}

// Returns the names of a folder's lists that name a split.
std::vector<std::string> lists_in(const std::string& dir) {
  std::vector<std::string> lists = list_folder(dir).files;
  std::erase_if(lists, [](const std::string& name) {
    const std::string ending = fs::path(name).extension().string();
    return (ending != ".txt" && ending != ".TXT") || split_named(name) == Split::none;
  });
  return lists;
}

void read_folder(Task& task, const std::string& dir, const SetOptions& options) {
  const Splits lists = take_splits(lists_in(dir), "folder  " + dir);
  read_split(task, dir + "/" + lists.train, task.train, options);
  if (!lists.val.empty()) read_split(task, dir + "/" + lists.val, task.val, options);
  task.val_from_train = lists.val.empty();
  if (!lists.test.empty()) read_split(task, dir + "/" + lists.test, task.test, options);
}

}  // namespace

bool is_list_folder(const std::string& dir) {
  const auto trains = [](const std::string& name) { return split_named(name) == Split::train; };
  return std::ranges::any_of(lists_in(dir), trains) && !std::ranges::any_of(list_folder(dir).folders, trains);
}

std::vector<Task> find_list_tasks(const std::string& path, const SetOptions& options) {
  const bool folder = fs::is_directory(path);
  Task task;
  task.name = folder ? name_of_path(path) : fs::path(path).stem().string();
  const std::string why = why_no_task_name(task.name);
  REPRISE_CHECK(why.empty(), "data: '{}' cannot name a task: {}\n  list    {}\nRename it", shown(task.name),
                why, path);
  if (choose_tasks({{task.name, ""}}, options, path).empty()) return {};
  if (folder) {
    read_folder(task, path, options);
  } else {
    read_split(task, path, task.train, options);
    task.val_from_train = true;
  }
  REPRISE_CHECK(task.classes.size() >= 2, "data: a task needs at least two classes, found {}\n  list    {}",
                fmt::join(task.classes, ", "), path);
  if (options.skip_bad)
    drop_unreadable(task, options, task.unreadable);
  else
    split_task(task, options);
  return {std::move(task)};
}

}  // namespace reprise::data
