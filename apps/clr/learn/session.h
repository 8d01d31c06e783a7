// One call of `clr train`: all tasks of a folder, one after the other, into a run folder.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "apps/clr/commands/progress.h"
#include "apps/clr/learn/backbone.h"
#include "apps/clr/learn/recipe.h"
#include "apps/clr/learn/run_folder.h"
#include "apps/clr/learn/task_data.h"

namespace reprise::clr {

struct SessionOptions {
  Recipe recipe;
  std::string data, run;
  std::vector<std::string> tasks;      // empty: all
  std::string init, order, log_steps;  // files; empty: none
  bool quiet = false, copy_backbone = false;
  bool clip_grey16 = false;       // of data::SetOptions
  bool anomaly = false;           // stop at the first value that is not finite: see AnomalyWatch
  std::vector<std::string> argv;  // for run.json
  // Called for each task that is finished, now or before, with its file and the path of its log.
  std::function<void(const data::Task&, const TaskFile&, const std::string& log)> on_finished;
};

inline constexpr const char *finished_before = "finished before",
                            *left_to_another = "left to another process";

struct TaskOutcome {
  std::string task, status;  // "learned", "resumed" or one of the two above
  std::optional<double> val_accuracy, test_accuracy;
  std::optional<int> best_epoch;
};

class Session {
 public:
  Session(const Backbone& backbone, SessionOptions options);
  // Finds, decodes and checks everything, prints what will be done; writes nothing but, where memory is
  // short, a cache of pixels.
  void prepare();
  Json plan() const;  // what prepare found, for --dry-run --json
  // Trains what is not finished. Throws Interrupted after a signal, when what was done is saved.
  std::vector<TaskOutcome> run();

 private:
  void check_finished(const TaskData& data) const;
  void check_single_task();
  void estimate();
  TaskOutcome learn(const TaskData& data);
  TaskOutcome learn_and_tell(const TaskData& data);
  TaskOutcome learn_claimed(const TaskData& data);
  TaskOutcome finished(const std::string& task, const std::string& status) const;
  Json context_of(const TaskData& data) const;
  Json backbone_record() const;
  std::int64_t images_to_train(const TaskData& data) const;

  const Backbone& backbone_;
  SessionOptions options_;
  RunFolder folder_;
  std::vector<TaskData> tasks_;
  std::vector<std::vector<std::int64_t>> order_;
  std::vector<data::NamedTensor> init_;
  std::int64_t memory_ = 0;
  std::optional<Progress> progress_;
};

// On standard output: a table, or one JSON object.
void print_outcomes(const std::vector<TaskOutcome>& outcomes, bool json);
// What run.json tells of a task: classes, images, digests.
Json facts_of(const TaskData& data);
// The command line of this process, as the system knows it.
std::vector<std::string> arguments_of_process();
// The method's own name ("clr" for "Ghost_reduced_v1"); UsageError where there is none.
std::string find_method_name(const std::string& name);

}  // namespace reprise::clr
