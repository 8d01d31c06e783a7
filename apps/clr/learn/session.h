// One call of `clr train`: learns all tasks of a data
// folder, one after the other, into a run folder.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "apps/clr/learn/backbone.h"
#include "apps/clr/learn/recipe.h"
#include "apps/clr/learn/run_folder.h"
#include "apps/clr/learn/shard.h"
#include "apps/clr/learn/task_data.h"
#include "apps/clr/learn/task_file.h"
#include "apps/clr/learn/trainer.h"

namespace reprise::clr {

struct SessionOptions {
  Recipe recipe;
  std::string data, run;               // the data folder and the run folder
  std::vector<std::string> tasks;      // names or ids; empty: all
  Shard shard;                         // which part of these tasks this process takes
  std::string init, order, log_steps;  // paths of --init, --order, --log-steps; empty: none
  bool quiet = false, copy_backbone = false;
  bool clip_grey16 = false, follow_links = false;  // of data::SetOptions
  bool anomaly = false;           // stop at the first value that is not finite: see AnomalyWatch
  std::vector<std::string> argv;  // recorded in run.json
  // Called for each finished task, also one finished before, with its file and the path of its log.
  std::function<void(const data::Task&, const TaskFile&, const std::string& log)> on_finished;
};

inline constexpr const char *finished_before = "finished before",
                            *left_to_another = "left to another process", *not_readable = "not readable";

struct TaskOutcome {
  std::string task, status;  // status: "learned", "resumed", or one of the above
  std::optional<double> val_accuracy, test_accuracy;
  std::optional<int> best_epoch;
};

struct PlannedShard {
  std::vector<std::string> tasks;  // the longest first
  double images = 0;               // an epoch's work: see work_of
};

// What a session will do: for --dry-run and for `clr audit verify`.
struct Plan {
  RecordedBackbone backbone;
  std::string recipe;  // JSON text
  std::vector<RecordedTask> tasks;
  std::vector<bool> finished;        // of each task: whether it was finished before
  std::int64_t memory = 0;           // expected, in bytes
  std::vector<PlannedShard> shards;  // of all processes; empty if this one takes all tasks
};

class Session {
 public:
  // `backbone` and `observer` must outlive the session. If the observer asks for a stop, prepare
  // and run throw Interrupted.
  Session(const Backbone& backbone, SessionOptions options, TrainingObserver& observer);
  // Finds the tasks, takes this process's shard of them, and checks
  // everything but the images' pixels. Writes nothing.
  void prepare();
  // Decodes the images of every task that is not finished.
  // Writes nothing, except a cache of pixels if memory is short.
  void decode_all();
  // Returns what prepare found, and the images' digests if they were decoded.
  Plan plan() const;
  // Returns the seconds that an image of an epoch's work takes here; 0 if unknown.
  double seconds_per_image();
  // Trains the tasks that are not finished, and saves each when it is finished; call prepare first.
  // Decodes a task's images when it comes to the task. Where they cannot be decoded, says why and
  // goes on with the next task. If the observer asks for a stop, saves the state of the task in
  // training before it throws.
  std::vector<TaskOutcome> run();

 private:
  void take_shard();
  void check_finished(TaskData& data) const;
  void check_single_task();
  void estimate();
  void limit_cache() const;
  TaskOutcome learn(TaskData& data);
  TaskOutcome learn_and_tell(TaskData& data);
  TaskOutcome learn_claimed(const TaskData& data);
  TaskFile task_file_of(const TaskData& data, layers::Network& network, const TrainingResult& result) const;
  TaskOutcome finished(const std::string& task, const std::string& status) const;
  StateContext context_of(const TaskData& data) const;
  RecordedBackbone backbone_record() const;
  Invocation invocation() const;
  std::int64_t images_to_train(const TaskData& data) const;

  const Backbone& backbone_;
  TrainingObserver& observer_;
  SessionOptions options_;
  RunFolder folder_;
  DataOptions data_;
  std::vector<TaskData> tasks_;
  std::vector<PlannedShard> shards_;
  std::vector<std::vector<std::int64_t>> order_;
  std::vector<data::NamedTensor> init_;
  std::int64_t memory_ = 0;
};

}  // namespace reprise::clr
