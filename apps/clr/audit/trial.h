// A few steps of training on one task, to be watched: the very steps that `clr train` would begin with.
#pragma once

#include "apps/clr/commands/command.h"
#include "apps/clr/learn/step.h"
#include "apps/clr/learn/task_data.h"

namespace reprise::clr {

struct TrialOptions {
  std::string backbone, arch = "auto", data, task;  // task: empty for the first
  Recipe recipe;                                    // its `steps` is how many
  bool follow_links = false;                        // of data::SetOptions
};
// --backbone, --arch, --data, --task, --method, --size, --batch, --lr, --optimizer, --penalty, --steps,
// --follow-links.
// Returns that of --data, which is required.
CLI::Option* add_trial_options(CLI::App& command, TrialOptions& options, int steps);

// The backbone and the images, shared by all trainings of a trial.
class Trial {
 public:
  // Reads and checks; prints the first line that every command prints.
  Trial(TrialOptions options, const Common& common);
  const Recipe& recipe() const { return options_.recipe; }
  const Backbone& backbone() const { return backbone_; }
  const TaskData& data() const { return *data_; }
  const std::string& task() const { return data_->task.name; }
  // "5 steps of 8 images of 32x32, resnet20, method clr, task dots"
  std::string describe() const;
  std::int64_t memory() const { return memory_; }  // bytes that one training takes
  double flops() const { return flops_; }          // of all steps of one training, forward and back

 private:
  friend class TrialTraining;
  TrialOptions options_;
  Backbone backbone_;
  std::int64_t memory_ = 0;
  double flops_ = 0;
  std::unique_ptr<TaskData> data_;
};

// One training from the start; several of a trial do not disturb each other.
class TrialTraining {
 public:
  explicit TrialTraining(const Trial& trial);
  // The next step; the learning rate stays what it is. An Error carries the task and the step's number.
  StepResult step();
  layers::Network& network() { return *network_; }

 private:
  const Trial& trial_;
  std::unique_ptr<layers::Network> network_;
  Learner learner_;
  Inputs inputs_;
  std::vector<std::vector<std::int64_t>> batches_;  // what is left of the epoch, last first
  int epoch_ = 0;
  std::int64_t steps_ = 0;
};

}  // namespace reprise::clr
