// What a run folder tells about its tasks, for the report.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apps/clr/learn/run_record.h"
#include "apps/clr/learn/task_file.h"
#include "apps/clr/learn/task_log.h"
#include "engine/core/tensor.h"
#include "layers/reprogramming/cost.h"

namespace reprise::clr {

// A line of predictions.csv, which `clr eval` writes.
struct Guess {
  std::string truth, guess, path;
  double probability = 0;  // that the network gives its guess
};
// A reprogramming filter of a layer, (C,K,K) f32, K odd; it began as the identity.
struct LearnedFilter {
  std::string layer;
  Tensor weight;
  double distance = 0;  // mean over the channels of the norm of (filter - identity)
};

struct ReportedTask {
  TaskFile file;  // without its tensors
  layers::TaskCost cost;
  std::optional<double> accuracy;  // of the test split where there is one, else of val
  std::string split;
  double chance = 0;
  std::vector<LoggedEpoch> log;
  std::optional<double> learned, now;  // matrix.csv: right after it was learned, and after the last task
  std::vector<Guess> guesses;
  std::string guessed_split;
  std::vector<LearnedFilter> filters;
};

struct ReportedRun {
  std::string path, method, label;  // label: the method, with the folder where a method comes twice
  RunRecord record;
  std::vector<ReportedTask> tasks;  // in the order they were learned
  const ReportedTask* find(const std::string& task) const;
  // What was right when learned, less what is right after the last task: the mean over the tasks, and the
  // largest in size. Nothing, and 0, where clr eval has not been run.
  std::optional<double> forgetting() const;
  double worst_forgetting() const;
};

// Error where a folder is no run or nothing was learned there. What else is absent is left empty.
std::vector<ReportedRun> read_reported_runs(const std::vector<std::string>& paths);
// The tasks of all runs, in the order of the first that has them; and one of those that learned a task.
std::vector<std::string> all_tasks(const std::vector<ReportedRun>& runs);
const ReportedTask& any_of(const std::vector<ReportedRun>& runs, const std::string& task);

// Mean accuracies over the tasks that every run has one of.
struct MeanAccuracy {
  int tasks = 0;
  double chance = 0;
  std::vector<double> runs;
};
MeanAccuracy mean_accuracy(const std::vector<ReportedRun>& runs);

// The filters among a task's tensors, in the order of the names.
std::vector<LearnedFilter> learned_filters(const std::vector<data::NamedTensor>& tensors);

}  // namespace reprise::clr
