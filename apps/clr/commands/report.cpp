// clr report: compares runs in one table, and on one page.
#include "apps/clr/commands/commands.h"
#include "apps/clr/report/page.h"
#include "data/io/file.h"

namespace reprise::clr {
namespace {

struct ReportOptions {
  std::vector<std::string> runs;
  std::string html;
  bool require_better = false, require_no_forgetting = false;
};

using Runs = std::vector<ReportedRun>;

struct Cost {
  std::int64_t task_bytes = 0, task_parameters = 0, network_bytes = 0,
               network_parameters = 0;  // sums over the tasks
};
Cost cost_of_run(const ReportedRun& run) {
  Cost cost;
  for (const ReportedTask& task : run.tasks) {
    cost.task_bytes += task.cost.bytes();
    cost.task_parameters += task.cost.parameters();
    cost.network_bytes += task.cost.network_bytes();
    cost.network_parameters += task.cost.network_parameters;
  }
  return cost;
}

std::optional<double> accuracy_of(const ReportedRun& run, const std::string& name) {
  const ReportedTask* task = run.find(name);
  return task != nullptr ? task->accuracy : std::nullopt;
}

void print_text(const Runs& runs, const MeanAccuracy& means) {
  std::vector<std::string> titles{"task", "classes", "split", "chance"};
  for (const auto& run : runs) titles.push_back(run.label);
  Table table(titles);
  for (const auto& name : all_tasks(runs)) {
    const ReportedTask& some = any_of(runs, name);
    std::vector<std::string> cells{name, std::to_string(some.file.classes.size()), some.split,
                                   percent(some.chance)};
    for (const auto& run : runs) {
      const auto accuracy = accuracy_of(run, name);
      cells.push_back(accuracy ? percent(*accuracy) : "-");
    }
    table.row(cells);
  }
  table.rule();
  std::vector<std::string> average{fmt::format("average of {}", means.tasks), "", "", percent(means.chance)};
  for (const double mean : means.runs) average.push_back(percent(mean));
  table.row(average);
  const auto line = [&](const std::string& title, const auto& cell) {
    std::vector<std::string> cells{title, "", "", ""};
    for (const auto& run : runs) cells.push_back(cell(run, cost_of_run(run)));
    table.row(cells);
  };
  const auto per_task = [](std::int64_t sum, const ReportedRun& run) {
    return bytes_text(sum / static_cast<std::int64_t>(run.tasks.size()));
  };
  line("forgetting", [](const ReportedRun& r, const Cost&) {
    const auto mean = r.forgetting();
    return mean ? percent(*mean) : "(no eval)";
  });
  line("a task's own tensors",
       [&](const ReportedRun& r, const Cost& c) { return per_task(c.task_bytes, r); });
  line("the whole network",
       [&](const ReportedRun& r, const Cost& c) { return per_task(c.network_bytes, r); });
  line("ratio", [](const ReportedRun&, const Cost& c) {
    return percent(static_cast<double>(c.task_bytes) / static_cast<double>(c.network_bytes), 2);
  });
  print(table.text());
}

Json to_json(const Runs& runs, const MeanAccuracy& means) {
  Json rows = Json::array();
  for (const auto& name : all_tasks(runs)) {
    const ReportedTask& some = any_of(runs, name);
    Json accuracies = Json::array();
    for (const auto& run : runs) accuracies.push_back(number_or_null(accuracy_of(run, name)));
    rows.push_back({{"name", name},
                    {"classes", some.file.classes.size()},
                    {"split", some.split},
                    {"chance", some.chance},
                    {"accuracies", accuracies}});
  }
  Json columns = Json::array();
  for (std::size_t r = 0; r < runs.size(); ++r) {
    const Cost cost = cost_of_run(runs[r]);
    columns.push_back({{"run", runs[r].path},
                       {"method", runs[r].method},
                       {"average", means.runs[r]},
                       {"forgetting", number_or_null(runs[r].forgetting())},
                       {"tasks", runs[r].tasks.size()},
                       {"task_bytes", cost.task_bytes},
                       {"network_bytes", cost.network_bytes},
                       {"task_parameters", cost.task_parameters},
                       {"network_parameters", cost.network_parameters}});
  }
  return {{"runs", columns}, {"tasks", rows}, {"tasks_in_all_runs", means.tasks}, {"chance", means.chance}};
}

void check_requirements(const ReportOptions& options, const Runs& runs, const MeanAccuracy& means) {
  if (options.require_better) {
    REPRISE_CHECK(means.tasks > 0, "--require-better: no task is in all runs");
    for (std::size_t r = 1; r < runs.size(); ++r)
      REPRISE_CHECK(means.runs[0] > means.runs[r], "--require-better: {} with {} is not above {} with {}",
                    runs[0].label, percent(means.runs[0]), runs[r].label, percent(means.runs[r]));
  }
  if (options.require_no_forgetting)
    for (const auto& run : runs) {
      REPRISE_CHECK(run.forgetting().has_value(),
                    "--require-no-forgetting: {} has no matrix.csv of a test or val split; run clr eval",
                    run.path);
      REPRISE_CHECK(run.worst_forgetting() == 0, "--require-no-forgetting: {} forgot up to {} of a task",
                    run.path, percent(run.worst_forgetting(), 3));
    }
}

void run_report(const ReportOptions& options, Common& common) {
  const Runs runs = read_reported_runs(options.runs);
  const MeanAccuracy means = mean_accuracy(runs);
  if (common.json)
    print_json(to_json(runs, means));
  else
    print_text(runs, means);
  if (!options.html.empty()) {
    data::write_file_atomically(options.html, report_page(runs));
    log_line(fmt::format("written: {}", options.html));
  }
  check_requirements(options, runs, means);
}

}  // namespace

void add_report(Command app, Common& common) {
  const Command c =
      add_command(app, common, "report", "compare runs in one table, with --html also on a page");
  auto options = std::make_shared<ReportOptions>();
  c.add_option("RUN", options->runs, "run folders").required();
  c.add_option("--html", options->html,
               "also write this page: curves, confusions, mistakes, filters; it needs no network");
  c.add_flag("--require-better", options->require_better,
             "exit with 1 unless the first run's average is the highest");
  c.add_flag("--require-no-forgetting", options->require_no_forgetting,
             "exit with 1 unless clr eval has found every run's forgetting to be 0");
  c.callback([options, &common] { run_report(*options, common); });
}

}  // namespace reprise::clr
