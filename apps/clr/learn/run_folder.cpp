#include "apps/clr/learn/run_folder.h"

#include <algorithm>
#include <ctime>
#include <filesystem>

#include "apps/clr/learn/recipe.h"
#include "apps/clr/learn/table.h"
#include "apps/clr/learn/task_file.h"
#include "apps/clr/learn/task_log.h"
#include "data/io/file.h"
#include "engine/base/check.h"

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

void make_folder(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  REPRISE_CHECK(!error && fs::is_directory(path), "{}: cannot make this folder: {}", path,
                error ? error.message() : "something else has its name");
}

std::string line_of(const TaskFile& file, const RecordedTask& facts, const TaskLog& log,
                    std::int64_t backbone_parameters) {
  const layers::TaskCost cost = cost_of(file);
  const auto number = [](const std::optional<double>& value) { return value ? exact(*value) : ""; };
  const double seconds = log.seconds();
  const double images = static_cast<double>(facts.train_images) * static_cast<double>(log.epochs.size());
  return fmt::format("{},{},{},{},{},{},{},{},{},{},{},{},{:.3f},{:.1f}\n", csv_field(file.task), file.method,
                     file.classes.size(), facts.train_images, facts.val_images, log.epochs.size(),
                     file.best_epoch, number(file.val_accuracy), number(file.test_accuracy),
                     cost.parameters(), cost.bytes(), backbone_parameters, seconds,
                     seconds > 0 ? images / seconds : 0);
}

}  // namespace

std::string RunFolder::file_in(const char* folder, const std::string& task, const char* ending) const {
  return path_ + "/" + folder + "/" + file_name(task) + ending;
}

RunRecord RunFolder::record() const {
  REPRISE_CHECK(exists(), "{}: not a run folder of clr (no run.json in it)", path_);
  return read_run_record(path_ + "/run.json");
}

void RunFolder::check_same(const RecordedBackbone& backbone, const std::string& recipe) const {
  const RunRecord record = this->record();
  const RecordedBackbone& before = record.backbone;
  REPRISE_CHECK(
      before.identity == backbone.identity,
      "{}: this run was begun with another --backbone\n  run     {}  ({})\n  now     {}  ({})\nA run folder "
      "is one backbone, method and recipe: choose another --run, or start anew with --restart",
      path_, before.path, before.identity.substr(0, 12), backbone.path, backbone.identity.substr(0, 12));
  check_same_recipe(record.recipe, recipe, path_);
}

template <class Change>
void RunFolder::update(Change change) {
  const FileLock lock = FileLock::wait(path_ + "/run.lock");
  RunRecord record = exists() ? this->record() : RunRecord();
  if (change(record)) write_run_record(path_ + "/run.json", record);
}

std::size_t RunFolder::begin(const RecordedBackbone& backbone, const std::string& recipe,
                             Invocation invocation) {
  for (const char* folder : {"", "/tasks", "/state", "/log"}) {
    make_folder(path_ + folder);
    data::remove_abandoned_files(path_ + folder);
  }
  data::remove_abandoned_files(cache_dir());
  std::size_t place = 0;
  update([&](RunRecord& record) {
    if (exists()) {
      check_same(backbone, recipe);
      if (!backbone.copy.empty()) record.backbone.copy = backbone.copy;
    } else {
      record.backbone = backbone;
      record.recipe = recipe;
    }
    invocation.started = timestamp();
    place = record.invocations.size();
    record.invocations.push_back(std::move(invocation));
    return true;
  });
  return place;
}

void RunFolder::end(std::size_t invocation, const std::string& how, const std::string& signal) {
  update([&](RunRecord& record) {
    if (invocation >= record.invocations.size()) return false;  // another process has restarted the folder
    record.invocations[invocation].ended = timestamp();
    record.invocations[invocation].how = how;
    record.invocations[invocation].signal = signal;
    return true;
  });
}

void RunFolder::add_task(const RecordedTask& task) {
  update([&](RunRecord& record) {
    const auto known = std::ranges::find(record.tasks, task.name, &RecordedTask::name);
    if (known == record.tasks.end())
      record.tasks.push_back(task);
    else
      *known = task;
    return true;
  });
}

void RunFolder::tidy(const std::string& task) const {
  if (!is_there(state_file(task)) && !is_there(lock_file(task))) return;
  if (auto lock = claim(task)) {
    std::error_code ignored;  // it is in nobody's way
    fs::remove(state_file(task), ignored);
    lock->remove();
  }
}

std::vector<std::string> RunFolder::finished_tasks() const {
  std::vector<std::string> names;
  for (const RecordedTask& task : record().tasks)
    if (is_finished(task.name)) names.push_back(task.name);
  return names;
}

void RunFolder::rebuild_results() const {
  const FileLock lock = FileLock::wait(path_ + "/run.lock");
  const RunRecord record = this->record();
  std::string text =
      "task,method,classes,train_images,val_images,epochs,best_epoch,val_accuracy,test_accuracy,"
      "task_parameters,task_bytes,backbone_parameters,seconds,images_per_second\n";
  for (const RecordedTask& task : record.tasks)
    if (is_finished(task.name))
      text += line_of(read_task_file(task_file(task.name)), task, read_task_log(log_file(task.name)),
                      record.backbone.parameters);
  data::write_file_atomically(path_ + "/results.csv", text);
}

void RunFolder::restart() const {
  std::error_code error;
  if (!is_there(path_) || fs::is_empty(path_, error)) return;
  const RunRecord record = this->record();
  std::vector<std::string> files;
  for (const RecordedTask& task : record.tasks) {
    const std::string& name = task.name;
    // The lock also finds a task that another process is learning at this moment.
    REPRISE_CHECK(!is_there(path_ + "/state") || claim(name), "{}: another process is learning {} here",
                  path_, name);
    for (const auto& file : {task_file(name), state_file(name), log_file(name)}) files.push_back(file);
    files.push_back(lock_file(name));
  }
  if (const std::string& copy = record.backbone.copy; !copy.empty())
    files.push_back(path_ + "/" + fs::path(copy).filename().string());
  for (const char* name : {"/results.csv", "/matrix.csv", "/predictions.csv", "/taskmap.safetensors",
                           "/taskmap-calibration.safetensors", "/taskmap.csv", "/taskmap-confusions.csv",
                           "/run.json", "/run.lock"})
    files.push_back(path_ + name);
  for (const auto& entry : fs::directory_iterator(cache_dir(), error))
    if (entry.path().extension() == ".pixels") files.push_back(entry.path().string());
  for (const auto& file : files) {
    fs::remove(file, error);
    REPRISE_CHECK(!error, "{}: cannot be removed: {}", file, error.message());
  }
  data::remove_abandoned_files(path_);
  // Folders that hold other files stay.
  for (const auto& folder : {path_ + "/tasks", path_ + "/state", path_ + "/log", cache_dir()}) {
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
