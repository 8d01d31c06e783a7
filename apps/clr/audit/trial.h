// A few steps of training on one task, to be examined:
// the steps with which `clr train` would begin.
#pragma once

#include "apps/clr/commands/command.h"
#include "apps/clr/learn/step.h"
#include "apps/clr/learn/task_data.h"

namespace reprise::clr {

struct TrialOptions {
  std::string backbone, arch = "auto", data, task;  // task: empty for the first one
  Recipe recipe;                                    // recipe.steps: the number of steps
  bool follow_links = false;                        // of data::SetOptions
};
// Adds --backbone, --arch, --data, --task, --method, --size, --batch, --lr,
// --optimizer, --penalty, --follow-links and --steps (default: `steps`). Returns the
// option --data, which is required unless the caller changes that.
Option add_trial_options(Command command, TrialOptions& options, int steps);

// The backbone and the images that all trainings of a trial share.
class Trial {
 public:
  // Reads and checks backbone and images. Calls common.begin(), which prints device and dtype.
  Trial(TrialOptions options, const Common& common);
  const Recipe& recipe() const { return options_.recipe; }
  const Backbone& backbone() const { return backbone_; }
  const TaskData& data() const { return *data_; }
  const std::string& task() const { return data_->task.name; }
  // "5 steps of 8 images of 32x32, resnet20, method clr, task dots"
  std::string describe() const;
  std::int64_t memory() const { return memory_; }  // bytes that one training takes, as estimated
  double flops() const { return flops_; }          // of all steps of one training, forward and backward

 private:
  friend class TrialTraining;
  TrialOptions options_;
  Backbone backbone_;
  std::int64_t memory_ = 0;
  double flops_ = 0;
  std::unique_ptr<TaskData> data_;
};

// One training from the start. Several trainings of one trial
// are independent. The trial must outlive it.
class TrialTraining {
 public:
  explicit TrialTraining(const Trial& trial);
  // Does the next step, with a constant learning rate. An Error names the task and the step.
  StepResult step();
  layers::Network& network() { return *network_; }

 private:
  const Trial& trial_;
  std::unique_ptr<layers::Network> network_;
  Learner learner_;
  Inputs inputs_;
  std::vector<std::vector<std::int64_t>> batches_;  // the epoch's remaining batches, the next one last
  int epoch_ = 0;
  std::int64_t steps_ = 0;
};

}  // namespace reprise::clr
