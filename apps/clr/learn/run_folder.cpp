#include "apps/clr/learn/run_folder.h"

#include <algorithm>
#include <ctime>
#include <filesystem>

#include "apps/clr/learn/recipe.h"
#include "apps/clr/learn/surroundings.h"
#include "apps/clr/learn/table.h"
#include "apps/clr/learn/task_log.h"
#include "data/io/file.h"
#include "engine/base/check.h"
#include "engine/base/log.h"

namespace reprise::clr {
namespace {

namespace fs = std::filesystem;

// Returns a task's name as a file name. Writes '/', '%', control characters and a first '.' as %XX.
std::string file_name(const std::string& task) {
  std::string name;
  for (std::size_t i = 0; i < task.size(); ++i) {
    const auto c = static_cast<unsigned char>(task[i]);
    if (c == '/' || c == '%' || c < 0x20 || (c == '.' && i == 0))
      name += fmt::format("%{:02X}", c);
    else
      name += static_cast<char>(c);
  }
  return name;
}

// The opposite of file_name: returns the task's name.
std::string task_name(std::string name) {
  for (std::size_t at = 0; (at = name.find('%', at)) != std::string::npos && at + 2 < name.size(); ++at)
    name.replace(at, 3, 1, static_cast<char>(std::strtol(name.substr(at + 1, 2).c_str(), nullptr, 16)));
  return name;
}

// Returns the paths of a folder's files with this ending, sorted; none without the folder.
std::vector<fs::path> files_in(const fs::path& folder, const std::string& ending) {
  std::vector<fs::path> files;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error))
    if (entry.path().extension() == ending) files.push_back(entry.path());
  std::ranges::sort(files);
  return files;
}

void make_folder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  REPRISE_CHECK(!error && fs::is_directory(path), "{}: cannot make this folder: {}", path,
                error ? error.message() : "something else has its name");
}

std::string line_of(const TaskFile& file, const TaskLog& log, std::int64_t backbone_parameters) {
  const layers::TaskCost cost = cost_of(file);
  const auto number = [](const std::optional<double>& value) { return value ? exact(*value) : ""; };
  const double seconds = log.seconds();
  const auto images = [&](const char* split) {
    const auto found = file.images.find(split);
    return found == file.images.end() ? 0 : found->second;
  };
  const Recipe recipe = partial_recipe(file.recipe, file.path);
  std::int64_t seen = images("train") * std::ssize(log.epochs);
  if (recipe.steps > 0) seen = std::min(seen, recipe.steps * recipe.batch);
  return fmt::format("{},{},{},{},{},{},{},{},{},{},{},{},{:.3f},{:.1f}\n", csv_field(file.task), file.method,
                     file.classes.size(), images("train"), images("val"), log.epochs.size(), file.best_epoch,
                     number(file.val_accuracy), number(file.test_accuracy), cost.parameters(), cost.bytes(),
                     backbone_parameters, seconds, seconds > 0 ? static_cast<double>(seen) / seconds : 0);
}

}  // namespace

std::string RunFolder::file_in(const char* folder, const std::string& task, const char* ending) const {
  return path_ + "/" + folder + "/" + file_name(task) + ending;
}

RunRecord RunFolder::record() const {
  REPRISE_CHECK(exists(), "{}: not a run folder of clr (no run.json in it)", path_);
  RunRecord record = read_run_record(path_ + "/run.json");
  // The call that began the run stands in run.json and in its own record. An older clr had no records.
  const bool twice = !record.invocations.empty() && !record.invocations.front().host.empty();
  for (const fs::path& file : files_in(path_ + "/log", ".json")) {
    if (const auto call = read_invocation(file.string()))
      record.invocations.push_back(*call);
    else
      log_warning(fmt::format("{}: damaged, and left out", file.string()));
  }
  if (twice && record.invocations.size() > 1) record.invocations.erase(record.invocations.begin());
  std::ranges::stable_sort(record.invocations, {}, &Invocation::started);
  return record;
}

Invocation RunFolder::check_same(const RecordedBackbone& backbone, const std::string& recipe) const {
  RunRecord record = read_run_record(path_ + "/run.json");
  const RecordedBackbone& before = record.backbone;
  REPRISE_CHECK(
      before.identity == backbone.identity,
      "{}: this run was begun with another --backbone\n  run     {}  ({})\n  now     {}  ({})\nA run folder "
      "is one backbone, method and recipe: choose another --run, or start anew with --restart",
      path_, before.path, before.identity.substr(0, 12), backbone.path, backbone.identity.substr(0, 12));
  check_same_recipe(record.recipe, recipe, path_);
  return record.invocations.empty() ? Invocation() : std::move(record.invocations.front());
}

void RunFolder::begin(const RecordedBackbone& backbone, const std::string& recipe, Invocation invocation) {
  for (const char* folder : {"", "/tasks", "/state", "/log"}) {
    make_folder(path_ + folder);
    data::remove_abandoned_files(path_ + folder);
  }
  own_ = std::move(invocation);
  own_.started = timestamp();
  bool published = false;
  if (!exists()) {
    data::AtomicFile file(path_ + "/run.json");
    file.write(text_of(RunRecord{backbone, recipe, {}, {own_}}));
    published = file.commit(/*replace=*/false);
  }
  if (!published) keep_level(path_, check_same(backbone, recipe), own_);
  // An earlier process of this machine may have had the same id.
  const std::string name = fmt::format("{}/log/process-{}-{}", path_, own_.host, own_.pid);
  own_file_ = name + ".json";
  for (int n = 2; is_there(own_file_); ++n) own_file_ = fmt::format("{}-{}.json", name, n);
  write_own();
}

void RunFolder::write_own() const {
  data::write_file_atomically(own_file_, text_of(own_));
}

void RunFolder::add_task(const std::string& task) {
  own_.tasks.push_back(task);
  write_own();
}

void RunFolder::end(const std::string& how, const std::string& signal) {
  if (!is_there(own_file_)) return;  // another process has restarted the folder
  own_.ended = timestamp();
  own_.how = how;
  own_.signal = signal;
  write_own();
}

void RunFolder::tidy(const std::string& task) const {
  std::error_code ignored;  // they are in nobody's way
  for (const std::string& file : {state_file(task), lock_file(task)}) fs::remove(file, ignored);
}

std::vector<std::string> RunFolder::finished_tasks(const RunRecord& record) const {
  std::vector<std::string> names;
  const auto add = [&](const std::string& name) {
    if (is_finished(name) && std::ranges::find(names, name) == names.end()) names.push_back(name);
  };
  for (const RecordedTask& task : record.tasks) add(task.name);
  for (const Invocation& call : record.invocations) std::ranges::for_each(call.tasks, add);
  for (const fs::path& file : files_in(path_ + "/tasks", ".safetensors")) add(task_name(file.stem()));
  return names;
}

TaskFile RunFolder::learned(const std::string& task, const RunRecord& record) const {
  TaskFile file = read_task_file(task_file(task));
  const auto old = std::ranges::find(record.tasks, task, &RecordedTask::name);
  if (file.images.empty() && old != record.tasks.end())
    file.images = {{"train", old->train_images}, {"val", old->val_images}, {"test", old->test_images}};
  return file;
}

void RunFolder::rebuild_results() const {
  std::vector<std::string> names;
  do {
    const RunRecord record = this->record();
    names = finished_tasks(record);
    std::string text =
        "task,method,classes,train_images,val_images,epochs,best_epoch,val_accuracy,test_accuracy,"
        "task_parameters,task_bytes,backbone_parameters,seconds,images_per_second\n";
    for (const std::string& task : names)
      text += line_of(learned(task, record), read_task_log(log_file(task)), record.backbone.parameters);
    data::write_file_atomically(path_ + "/results.csv", text);
    // Another process may have finished a task meanwhile, and written the table before this one did.
  } while (names != finished_tasks());
}

void RunFolder::restart() const {
  std::error_code error;
  if (!is_there(path_) || fs::is_empty(path_, error)) return;
  const RunRecord record = this->record();
  std::vector<std::string> files, names = finished_tasks(record);
  for (const RecordedTask& task : record.tasks) names.push_back(task.name);
  bool copied = false;
  for (const Invocation& call : record.invocations) {
    names.insert(names.end(), call.tasks.begin(), call.tasks.end());
    copied = copied || std::ranges::find(call.argv, "--copy-backbone") != call.argv.end();
  }
  for (const std::string& name : names) {
    // The lock also finds a task that another process is learning at this moment.
    REPRISE_CHECK(!is_there(path_ + "/state") || claim(name), "{}: another process is learning {} here",
                  path_, name);
    for (const auto& file : {task_file(name), state_file(name), log_file(name)}) files.push_back(file);
    files.push_back(lock_file(name));
  }
  for (const fs::path& file : files_in(path_ + "/log", ".json")) files.push_back(file);
  if (copied) files.push_back(path_ + "/backbone" + fs::path(record.backbone.path).extension().string());
  for (const char* name : {"/results.csv", "/matrix.csv", "/predictions.csv", "/margins.json",
                           "/taskmap.safetensors", "/taskmap-calibration.safetensors", "/taskmap.csv",
                           "/taskmap-confusions.csv", "/run.json", "/run.lock"})
    files.push_back(path_ + name);
  const std::string cache = path_ + "/cache";  // of an older clr
  for (const fs::path& file : files_in(cache, ".pixels")) files.push_back(file);
  for (const auto& file : files) {
    fs::remove(file, error);
    REPRISE_CHECK(!error, "{}: cannot be removed: {}", file, error.message());
  }
  data::remove_abandoned_files(path_);
  // Folders that hold other files stay.
  for (const auto& folder : {path_ + "/tasks", path_ + "/state", path_ + "/log", cache}) {
    data::remove_abandoned_files(folder);
    fs::remove(folder, error);
  }
}

std::string timestamp() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

}  // namespace reprise::clr
