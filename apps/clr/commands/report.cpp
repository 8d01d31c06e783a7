// clr report: runs beside each other as one table, and as a page.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "apps/clr/commands/commands.h"
#include "apps/clr/report/page.h"
#include "apps/clr/table.h"
#include "apps/clr/task_file.h"
#include "apps/clr/train/run_folder.h"
#include "data/io/file.h"
#include "engine/core/check.h"
#include "engine/core/log.h"

namespace reprise::clr {
namespace {

struct ReportOptions {
  std::vector<std::string> runs;
  std::string html;
  bool require_better = false, require_no_forgetting = false;
};

struct Learned {
  double accuracy = 0;
  std::string split;
  std::size_t classes = 0;
};

struct Run {
  std::string label, path, method;
  std::vector<std::string> order;  // of its tasks
  std::map<std::string, Learned> tasks;
  std::int64_t task_bytes = 0, task_parameters = 0, network_bytes = 0,
               network_parameters = 0;  // sums over the tasks
  std::optional<double> forgetting;     // the mean, from matrix.csv
  double worst_forgetting = 0;
};

// From matrix.csv: what was right when learned, less what is right now.
void read_forgetting(Run& run) {
  std::ifstream in(run.path + "/matrix.csv");
  std::string line;
  std::getline(in, line);
  std::map<std::string, double> now;
  while (std::getline(in, line)) {
    const auto fields = csv_fields(line);
    if (fields.size() != 4) continue;
    // The last line of a task is the state after the last task.
    now[fields[1]] = std::strtod(fields[3].c_str(), nullptr);
  }
  double sum = 0;
  int n = 0;
  for (const auto& [task, accuracy] : now)
    if (const auto learned = run.tasks.find(task); learned != run.tasks.end()) {
      const double lost = learned->second.accuracy - accuracy;
      run.worst_forgetting = std::max(run.worst_forgetting, std::abs(lost));
      sum += lost;
      ++n;
    }
  if (n > 0) run.forgetting = sum / n;
}

Run read_run(const std::string& path) {
  const RunFolder folder(path);
  Run run;
  run.path = path;
  run.method = folder.record()["recipe"].value("method", "?");
  run.order = folder.finished_tasks();
  REPRISE_CHECK(!run.order.empty(), "{}: no task has been learned here yet", path);
  for (const auto& name : run.order) {
    const TaskFile file = read_task_file(folder.task_file(name));
    const bool test = file.test_accuracy.has_value();
    run.tasks[name] = {file.test_accuracy.value_or(file.val_accuracy.value_or(std::nan(""))),
                       test ? "test" : "val", file.classes.size()};
    const layers::TaskCost cost = cost_of(file);
    run.task_bytes += cost.bytes();
    run.task_parameters += cost.parameters();
    run.network_bytes += cost.network_bytes();
    run.network_parameters += cost.network_parameters;
  }
  read_forgetting(run);
  return run;
}

// The methods' names; the folders' too where a method comes twice.
void name_columns(std::vector<Run>& runs) {
  for (auto& run : runs) {
    const bool twice =
        std::count_if(runs.begin(), runs.end(), [&](const Run& r) { return r.method == run.method; }) > 1;
    const std::string folder = std::filesystem::path(run.path).lexically_normal().string();
    run.label = twice ? fmt::format("{} ({})", run.method, folder) : run.method;
  }
}

// The tasks of all runs, and those that every run has.
std::vector<std::string> all_tasks(const std::vector<Run>& runs) {
  std::vector<std::string> names;
  for (const auto& run : runs)
    for (const auto& name : run.order)
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  return names;
}

bool everywhere(const std::vector<Run>& runs, const std::string& task) {
  return std::all_of(runs.begin(), runs.end(), [&](const Run& r) {
    const auto found = r.tasks.find(task);
    return found != r.tasks.end() && !std::isnan(found->second.accuracy);
  });
}

const Learned& any_of(const std::vector<Run>& runs, const std::string& task) {
  return std::find_if(runs.begin(), runs.end(), [&](const Run& r) { return r.tasks.contains(task); })
      ->tasks.at(task);
}

// Means over the tasks that every run has; NaN where there are none.
struct Means {
  int tasks = 0;
  double chance = 0;
  std::vector<double> runs;
};
Means means_of(const std::vector<Run>& runs, const std::vector<std::string>& tasks) {
  Means means;
  means.runs.assign(runs.size(), 0);
  for (const auto& task : tasks) {
    if (!everywhere(runs, task)) continue;
    means.tasks += 1;
    means.chance += 1.0 / static_cast<double>(any_of(runs, task).classes);
    for (std::size_t r = 0; r < runs.size(); ++r) means.runs[r] += runs[r].tasks.at(task).accuracy;
  }
  means.chance /= means.tasks;
  for (double& mean : means.runs) mean /= means.tasks;
  return means;
}

double share_stored(std::int64_t a, std::int64_t b) {
  return b > 0 ? static_cast<double>(a) / static_cast<double>(b) : std::nan("");
}

void print_text(const std::vector<Run>& runs, const std::vector<std::string>& tasks, const Means& means) {
  std::vector<std::string> titles{"task", "classes", "split", "chance"};
  for (const auto& run : runs) titles.push_back(run.label);
  Table table(titles);
  for (const auto& name : tasks) {
    const Learned& some = any_of(runs, name);
    std::vector<std::string> cells{name, std::to_string(some.classes), some.split,
                                   percent(1.0 / static_cast<double>(some.classes))};
    for (const auto& run : runs)
      cells.push_back(run.tasks.contains(name) ? percent(run.tasks.at(name).accuracy) : "-");
    table.row(cells);
  }
  table.rule();
  std::vector<std::string> average{fmt::format("average of {}", means.tasks), "", "", percent(means.chance)};
  for (const double mean : means.runs) average.push_back(percent(mean));
  table.row(average);
  const auto line = [&](const std::string& title, const auto& cell) {
    std::vector<std::string> cells{title, "", "", ""};
    for (const auto& run : runs) cells.push_back(cell(run));
    table.row(cells);
  };
  const auto per_task = [](std::int64_t sum, const Run& run) {
    return sum / static_cast<std::int64_t>(run.tasks.size());
  };
  line("forgetting", [](const Run& r) { return r.forgetting ? percent(*r.forgetting) : "(no eval)"; });
  line("a task's own tensors", [&](const Run& r) { return bytes_text(per_task(r.task_bytes, r)); });
  line("the whole network", [&](const Run& r) { return bytes_text(per_task(r.network_bytes, r)); });
  line("ratio", [](const Run& r) { return percent(share_stored(r.task_bytes, r.network_bytes), 2); });
  print(table.text());
}

Json to_json(const std::vector<Run>& runs, const std::vector<std::string>& tasks, const Means& means) {
  Json rows = Json::array();
  for (const auto& name : tasks) {
    const Learned& some = any_of(runs, name);
    Json accuracies = Json::array();
    for (const auto& run : runs)
      accuracies.push_back(run.tasks.contains(name) ? Json(run.tasks.at(name).accuracy) : Json(nullptr));
    rows.push_back({{"name", name},
                    {"classes", some.classes},
                    {"split", some.split},
                    {"chance", 1.0 / static_cast<double>(some.classes)},
                    {"accuracies", accuracies}});
  }
  Json columns = Json::array();
  for (std::size_t r = 0; r < runs.size(); ++r)
    columns.push_back({{"run", runs[r].path},
                       {"method", runs[r].method},
                       {"average", means.runs[r]},
                       {"forgetting", runs[r].forgetting ? Json(*runs[r].forgetting) : Json(nullptr)},
                       {"tasks", runs[r].tasks.size()},
                       {"task_bytes", runs[r].task_bytes},
                       {"network_bytes", runs[r].network_bytes},
                       {"task_parameters", runs[r].task_parameters},
                       {"network_parameters", runs[r].network_parameters}});
  return {{"runs", columns}, {"tasks", rows}, {"tasks_in_all_runs", means.tasks}, {"chance", means.chance}};
}

void check_requirements(const ReportOptions& options, const std::vector<Run>& runs, const Means& means) {
  if (options.require_better) {
    REPRISE_CHECK(means.tasks > 0, "--require-better: no task is in all runs");
    for (std::size_t r = 1; r < runs.size(); ++r)
      REPRISE_CHECK(means.runs[0] > means.runs[r], "--require-better: {} with {} is not above {} with {}",
                    runs[0].label, percent(means.runs[0]), runs[r].label, percent(means.runs[r]));
  }
  if (options.require_no_forgetting)
    for (const auto& run : runs) {
      REPRISE_CHECK(run.forgetting.has_value(), "--require-no-forgetting: {} has no matrix.csv; run clr eval",
                    run.path);
      REPRISE_CHECK(run.worst_forgetting == 0, "--require-no-forgetting: {} forgot up to {} of a task",
                    run.path, percent(run.worst_forgetting, 3));
    }
}

void run_report(const ReportOptions& options, Common& common) {
  std::vector<Run> runs;
  for (const auto& path : options.runs) runs.push_back(read_run(path));
  name_columns(runs);
  const auto tasks = all_tasks(runs);
  const Means means = means_of(runs, tasks);
  if (common.json)
    print_json(to_json(runs, tasks, means));
  else
    print_text(runs, tasks, means);
  if (!options.html.empty()) {
    data::write_file_atomically(options.html, report_page(read_reported_runs(options.runs)));
    log_line(fmt::format("written: {}", options.html));
  }
  check_requirements(options, runs, means);
}

}  // namespace

void add_report(CLI::App& app, Common& common) {
  CLI::App& command = add_command(app, common, "report", "compare runs in one table");
  auto options = std::make_shared<ReportOptions>();
  command.add_option("RUN", options->runs, "run folders")->required();
  command.add_option(
      "--html", options->html,
      "also write one page to look at: curves, confusions, mistakes, filters (needs no network)");
  command.add_flag("--require-better", options->require_better,
                   "exit with 1 unless the first run's average is the highest");
  command.add_flag("--require-no-forgetting", options->require_no_forgetting,
                   "exit with 1 unless clr eval has found every run's forgetting to be 0");
  command.callback([options, &common] { run_report(*options, common); });
}

}  // namespace reprise::clr
