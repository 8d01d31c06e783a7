// Reads from run folders what the report shows.
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

// The prediction of one image: a line of predictions.csv, which `clr eval` writes.
struct Guess {
  std::string truth, guess, path;  // the class, the predicted class, and the image's path
  double probability = 0;          // softmax of the predicted class
};
// The learned reprogramming filters of one convolution. They start as the identity.
struct LearnedFilter {
  std::string layer;    // the convolution's path: "layer1.0.conv1"
  Tensor weight;        // (C,K,K) f32, K odd
  double distance = 0;  // mean over the channels of |filter - identity|
};

struct ReportedTask {
  TaskFile file;  // without its tensors
  layers::TaskCost cost;
  std::optional<double> accuracy;  // when learned, on the test split if there is one, else on val
  std::string split;               // of `accuracy`
  double chance = 0;
  std::vector<LoggedEpoch> log;
  std::optional<double> learned, now;  // on the split of matrix.csv: when learned, after the last task
  std::vector<Guess> guesses;
  std::string guessed_split;  // of `guesses`
  std::vector<LearnedFilter> filters;
};

struct ReportedRun {
  std::string path, method, label;  // label: the method, with the folder if two runs have one method
  RunRecord record;
  std::vector<ReportedTask> tasks;  // in the order they were learned
  std::string margins;              // the text of margins.json, which `clr audit margin` writes
  const ReportedTask* find(const std::string& task) const;
  // Return the accuracy when learned minus the accuracy after the last task: its mean over the
  // tasks, and its largest absolute value. Nothing, and 0, if clr eval has not been run.
  std::optional<double> forgetting() const;
  double worst_forgetting() const;
};

// Reads the runs. Throws Error if a folder is no run or nothing was learned there.
// Members for which there is no file stay empty.
std::vector<ReportedRun> read_reported_runs(const std::vector<std::string>& paths);
// Returns the names of all runs' tasks, in the order of their first appearance.
std::vector<std::string> all_tasks(const std::vector<ReportedRun>& runs);
// Returns the task as the first run that learned it has it.
const ReportedTask& any_of(const std::vector<ReportedRun>& runs, const std::string& task);

// Mean accuracies over the tasks for which every run has an accuracy.
struct MeanAccuracy {
  int tasks = 0;
  double chance = 0;
  std::vector<double> runs;
};
MeanAccuracy mean_accuracy(const std::vector<ReportedRun>& runs);

// Returns the reprogramming filters among a task's tensors, in the order of the tensors.
std::vector<LearnedFilter> learned_filters(const std::vector<data::NamedTensor>& tensors);

}  // namespace reprise::clr
