#include "data/sets/list_file.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <unordered_map>

#include "data/io/file.h"
#include "data/limits.h"
#include "data/sets/files.h"
#include "data/sets/printable.h"
#include "data/sets/split.h"
#include "engine/base/check.h"

namespace reprise::data {
namespace {

namespace fs = std::filesystem;

struct Line {
  std::string path, label;
  std::int64_t number = 0;
};

constexpr std::string_view blanks = " \t\r";

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(blanks);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

Line parse_line(std::string_view text, std::int64_t number, const std::string& file) {
  const std::size_t gap = text.find_last_of(blanks);
  REPRISE_CHECK(gap != text.npos, "{}: line {} has no label, expected 'path label': {}", file, number,
                escaped(text));
  const std::string_view path = trimmed(text.substr(0, gap)), label = text.substr(gap + 1);
  REPRISE_CHECK(path.size() <= limits::list_path_bytes && path.find('\0') == path.npos,
                "{}: line {} holds no path: {}", file, number, escaped(path));
  REPRISE_CHECK(label.size() <= limits::list_label_bytes && is_printable(label),
                "{}: the label of line {} is not printable UTF-8: {}", file, number, escaped(label));
  return {std::string(path), std::string(label), number};
}

std::vector<Line> read_lines(const std::string& file, const SetOptions& options) {
  const auto bytes = read_file(file);
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
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
                  escaped(lines.back().path));
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

void read_split(Task& task, const std::string& file, std::vector<Sample>& samples,
                const SetOptions& options) {
  const std::vector<Line> lines = read_lines(file, options);
  if (&samples == &task.train) task.classes = classes_of(lines);
  std::map<std::string, int> labels;
  for (std::size_t c = 0; c < task.classes.size(); ++c) labels[task.classes[c]] = static_cast<int>(c);
  const fs::path folder = fs::path(file).parent_path();
  for (const Line& line : lines) {
    const auto label = labels.find(line.label);
    REPRISE_CHECK(label != labels.end(), "{}: line {}: class '{}' is not in train\n  task    {}", file,
                  line.number, line.label, task.name);
    const std::string path = (folder / line.path).string();
    if (std::string reason = why_no_image(path); !reason.empty())
      task.unreadable.push_back({path, std::move(reason)});
    else
      samples.push_back({path, line.label + "/" + line.path, label->second});
  }
}

// The list of a split in a folder, "" where there is none.
std::string list_of(const std::string& dir, std::string_view name) {
  const std::string file = fmt::format("{}/{}.txt", dir, name);
  std::error_code error;
  return fs::exists(file, error) ? file : "";
}

void read_folder(Task& task, const std::string& dir, const SetOptions& options) {
  read_split(task, list_of(dir, "train"), task.train, options);
  const std::string val = list_of(dir, "val"), validation = list_of(dir, "validation"),
                    test = list_of(dir, "test");
  REPRISE_CHECK(val.empty() || validation.empty(), "data: both val.txt and validation.txt\n  folder  {}",
                dir);
  if (!val.empty() || !validation.empty())
    read_split(task, val.empty() ? validation : val, task.val, options);
  else
    task.val_from_train = true;
  if (!test.empty()) read_split(task, test, task.test, options);
}

}  // namespace

bool is_list_folder(const std::string& dir) {
  std::error_code error;
  return fs::is_regular_file(dir + "/train.txt", error) && !fs::is_directory(dir + "/train", error);
}

std::vector<Task> find_list_tasks(const std::string& path, const SetOptions& options) {
  const bool folder = fs::is_directory(path);
  Task task;
  task.name = folder ? name_of_path(path) : fs::path(path).stem().string();
  const std::string why = why_no_task_name(task.name);
  REPRISE_CHECK(why.empty(), "data: '{}' cannot name a task: {}\n  list    {}", escaped(task.name), why,
                path);
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
