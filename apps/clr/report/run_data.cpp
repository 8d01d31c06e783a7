#include "apps/clr/report/run_data.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "apps/clr/learn/run_folder.h"
#include "apps/clr/learn/task_log.h"
#include "data/io/file.h"
#include "engine/base/check.h"

namespace reprise::clr {
namespace {

double number(const std::string& text) {
  return std::strtod(text.c_str(), nullptr);
}

ReportedTask read_task(const RunFolder& folder, const std::string& name, const RunRecord& record) {
  ReportedTask task;
  task.file = folder.learned(name, record);
  task.cost = cost_of(task.file);
  if (task.file.packed.empty()) task.filters = learned_filters(task.file.tensors);
  task.file.tensors.clear();
  task.split = task.file.test_accuracy ? "test" : "val";
  task.accuracy = task.file.test_accuracy ? task.file.test_accuracy : task.file.val_accuracy;
  task.chance = 1.0 / static_cast<double>(task.file.classes.size());
  task.log = read_task_log(folder.log_file(name)).epochs;
  return task;
}

void read_evaluation(ReportedRun& run) {
  const auto task_of = [&](const std::string& name) -> ReportedTask* {
    for (auto& task : run.tasks)
      if (task.file.task == name) return &task;
    return nullptr;
  };
  for (const auto& row : csv_rows(run.path + "/matrix.csv", 4))
    if (ReportedTask* task = task_of(row[1])) {
      task->learned = row[2] == "test"  ? task->file.test_accuracy
                      : row[2] == "val" ? task->file.val_accuracy
                                        : std::nullopt;
      task->now = number(row[3]);  // a task's last line is its accuracy after the last task
    }
  for (const auto& row : csv_rows(run.path + "/predictions.csv", 6))
    if (ReportedTask* task = task_of(row[0])) {
      task->guessed_split = row[1];
      task->guesses.push_back({row[2], row[3], row[5], number(row[4])});
    }
}

}  // namespace

std::vector<LearnedFilter> learned_filters(const std::vector<data::NamedTensor>& tensors) {
  constexpr std::string_view ending = ".reprogram.weight";
  std::vector<LearnedFilter> filters;
  for (const auto& [name, tensor] : tensors) {
    if (!name.ends_with(ending) || tensor.dtype() != DType::f32 || tensor.rank() != 4 || tensor.dim(1) != 1 ||
        tensor.dim(2) != tensor.dim(3) || tensor.dim(2) % 2 == 0)
      continue;
    const std::int64_t channels = tensor.dim(0), taps = tensor.dim(2) * tensor.dim(2);
    LearnedFilter filter{name.substr(0, name.size() - ending.size()),
                         tensor.viewed_as({channels, tensor.dim(2), tensor.dim(3)}), 0};
    for (std::int64_t c = 0; c < channels; ++c) {
      double squares = 0;
      for (std::int64_t k = 0; k < taps; ++k)
        squares +=
            std::pow(static_cast<double>(tensor.data<float>()[c * taps + k]) - (k == taps / 2 ? 1 : 0), 2);
      filter.distance += std::sqrt(squares) / static_cast<double>(channels);
    }
    filters.push_back(std::move(filter));
  }
  return filters;
}

const ReportedTask* ReportedRun::find(const std::string& task) const {
  const auto at =
      std::find_if(tasks.begin(), tasks.end(), [&](const auto& t) { return t.file.task == task; });
  return at == tasks.end() ? nullptr : &*at;
}

std::optional<double> ReportedRun::forgetting() const {
  double sum = 0;
  int n = 0;
  for (const auto& task : tasks)
    if (task.learned && task.now) sum += *task.learned - *task.now, ++n;
  return n > 0 ? std::optional(sum / n) : std::nullopt;
}

double ReportedRun::worst_forgetting() const {
  double worst = 0;
  for (const auto& task : tasks)
    if (task.learned && task.now) worst = std::max(worst, std::abs(*task.learned - *task.now));
  return worst;
}

std::vector<std::string> all_tasks(const std::vector<ReportedRun>& runs) {
  std::vector<std::string> names;
  for (const auto& run : runs)
    for (const auto& task : run.tasks)
      if (std::find(names.begin(), names.end(), task.file.task) == names.end())
        names.push_back(task.file.task);
  return names;
}

const ReportedTask& any_of(const std::vector<ReportedRun>& runs, const std::string& task) {
  for (const auto& run : runs)
    if (const auto* found = run.find(task)) return *found;
  throw_error("report: no run has a task {}", task);
}

MeanAccuracy mean_accuracy(const std::vector<ReportedRun>& runs) {
  MeanAccuracy mean{0, 0, std::vector<double>(runs.size(), 0)};
  for (const auto& name : all_tasks(runs)) {
    const bool everywhere = std::all_of(runs.begin(), runs.end(), [&](const ReportedRun& r) {
      const ReportedTask* task = r.find(name);
      return task != nullptr && task->accuracy;
    });
    if (!everywhere) continue;
    ++mean.tasks;
    mean.chance += any_of(runs, name).chance;
    for (std::size_t r = 0; r < runs.size(); ++r) mean.runs[r] += *runs[r].find(name)->accuracy;
  }
  mean.chance /= mean.tasks;  // NaN where there are none
  for (double& m : mean.runs) m /= mean.tasks;
  return mean;
}

std::vector<ReportedRun> read_reported_runs(const std::vector<std::string>& paths) {
  std::vector<ReportedRun> runs;
  for (const auto& path : paths) {
    const RunFolder folder(path);
    ReportedRun run;
    run.path = path;
    run.record = folder.record();
    run.method = Json::parse(run.record.recipe).value("method", "?");
    for (const auto& name : folder.finished_tasks(run.record))
      run.tasks.push_back(read_task(folder, name, run.record));
    REPRISE_CHECK(!run.tasks.empty(), "{}: no task has been learned here yet", path);
    read_evaluation(run);
    if (const std::string file = path + "/margins.json"; std::filesystem::exists(file)) {
      const std::vector<std::byte> bytes = data::read_file(file);
      run.margins.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
    runs.push_back(std::move(run));
  }
  for (auto& run : runs) {
    const bool twice =
        std::count_if(runs.begin(), runs.end(), [&](const auto& r) { return r.method == run.method; }) > 1;
    run.label = twice ? fmt::format("{} ({})", run.method,
                                    std::filesystem::path(run.path).lexically_normal().string())
                      : run.method;
  }
  return runs;
}

}  // namespace reprise::clr
