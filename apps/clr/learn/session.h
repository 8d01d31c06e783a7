// One call of `clr train`: all tasks of a folder, one after the other, into a run folder.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "apps/clr/learn/backbone.h"
#include "apps/clr/learn/recipe.h"
#include "apps/clr/learn/run_folder.h"
#include "apps/clr/learn/task_data.h"
#include "apps/clr/learn/task_file.h"
#include "apps/clr/learn/trainer.h"

namespace reprise::clr {

struct SessionOptions {
  Recipe recipe;
  std::string data, run;
  std::vector<std::string> tasks;      // empty: all
  std::string init, order, log_steps;  // files; empty: none
  bool quiet = false, copy_backbone = false;
  bool clip_grey16 = false, follow_links = false;  // of data::SetOptions
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

// What will be done.
struct Plan {
  RecordedBackbone backbone;
  std::string recipe;  // JSON
  std::vector<RecordedTask> tasks;
  std::vector<bool> finished;  // each task, before
  std::int64_t memory = 0;     // expected bytes
};

class Session {
 public:
  // Both must outlive the session. Where the observer wants a stop, prepare and run throw Interrupted.
  Session(const Backbone& backbone, SessionOptions options, TrainingObserver& observer);
  // Finds, decodes and checks everything; writes only, where memory is short, a cache of pixels.
  void prepare();
  Plan plan() const;  // what prepare found
  // Trains what is not finished, and saves what was done before it throws.
  std::vector<TaskOutcome> run();

 private:
  void check_finished(const TaskData& data) const;
  void check_single_task();
  void estimate();
  TaskOutcome learn(const TaskData& data);
  TaskOutcome learn_and_tell(const TaskData& data);
  TaskOutcome learn_claimed(const TaskData& data);
  TaskFile task_file_of(const TaskData& data, layers::Network& network, const TrainingResult& result) const;
  TaskOutcome finished(const std::string& task, const std::string& status) const;
  StateContext context_of(const TaskData& data) const;
  RecordedBackbone backbone_record() const;
  std::int64_t images_to_train(const TaskData& data) const;

  const Backbone& backbone_;
  TrainingObserver& observer_;
  SessionOptions options_;
  RunFolder folder_;
  std::vector<TaskData> tasks_;
  std::vector<std::vector<std::int64_t>> order_;
  std::vector<data::NamedTensor> init_;
  std::int64_t memory_ = 0;
};

}  // namespace reprise::clr
